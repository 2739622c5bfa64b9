import { describe, expect, it } from 'vitest'
import type { Chain } from '@/api/types'
import { faultsOf, newContact, newStep, noLadder, opened, ready, rolesOf, same } from './chain'

const chain: Chain = { contacts: [{ name: '李局', role: 'chief', phone: '138 0000 0001', email: null, url: null }], own: { 1: { ...noLadder(), steps: [newStep(60)] } }, handed: {} }
const codes = (draft: ReturnType<typeof opened>): string[] => faultsOf(draft).map((one) => `${one.side ?? 'contact'}/${one.severity ?? ''}/${one.at}/${one.code}`)

describe('the chain as it is edited', () => {
  it('has a ladder for each severity and leaves the given one alone', () => {
    const draft = opened(chain)
    draft.own[1].steps[0]!.targets[0]!.channels = []
    draft.handed[4].steps.push(newStep(0))
    expect(chain.own[1]?.steps[0]?.targets[0]?.channels).toEqual(['sound'])
    expect(chain.handed).toEqual({})
  })

  it('is sent in the order of time and without blanks', () => {
    const draft = opened(chain)
    draft.own[1].steps.push(newStep(0))
    draft.contacts[0]!.email = '  '
    expect(ready(draft).own[1]?.steps.map((step) => step.after_s)).toEqual([0, 60])
    expect(ready(draft).contacts[0]?.email).toBeNull()
  })

  it('is the same where only empty ladders differ', () => {
    expect(same(chain, opened(chain))).toBe(true)
    expect(same(chain, { ...chain, contacts: [] })).toBe(false)
  })

  it('offers the roles that are known', () => {
    expect(rolesOf(chain)).toEqual(['duty_officer', 'leader', 'chief'])
  })
})

describe('what the gateway would refuse', () => {
  it('is nothing in a whole chain', () => expect(faultsOf(opened(chain))).toEqual([]))

  it('is a step that does nothing, has no channel, no time, or names a stranger', () => {
    const draft = opened(chain)
    draft.own[2].steps = [{ after_s: 0, targets: [], upward: false }, { after_s: Number.NaN, targets: [], upward: true }]
    draft.handed[1].steps = [{ after_s: 86_401, targets: [{ role: null, name: '无名', channels: [] }], upward: false }]
    expect(codes(draft)).toEqual(['own/2/1/idle', 'own/2/2/after', 'handed/1/1/after', 'handed/1/1/channels', 'handed/1/1/stranger'])
  })

  it('is a number out of its bounds; an optional one may be left out', () => {
    const draft = opened(chain)
    Object.assign(draft.own[3], { repeats: 11, repeat_every_s: 59, reopen_after_s: 59, silent_after_s: null })
    draft.handed[3].silent_after_s = 86_401
    draft.own[4].steps = Array.from({ length: 21 }, (_, n) => newStep(n))
    expect(codes(draft)).toEqual(['own/3/0/repeats', 'own/3/0/repeat_every', 'own/3/0/reopen_after', 'own/4/0/steps', 'handed/3/0/silent_after'])
  })

  it('is a contact without a name, twice, or with an address that cannot be', () => {
    const draft = opened(chain)
    draft.contacts.push({ ...newContact(), name: ' 李局 ' }, { name: '', role: 'Chef', phone: '12', email: 'a', url: 'ftp://x' })
    expect(codes(draft)).toEqual(['contact//1/twice', 'contact//2/twice', 'contact//3/name', 'contact//3/role', 'contact//3/phone', 'contact//3/email', 'contact//3/url'])
  })
})
