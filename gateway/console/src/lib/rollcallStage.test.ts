import { describe, expect, it } from 'vitest'
import type { RollCallPoint } from '@/api/types'
import { precheckOf } from './rollcall'
import { ACTS, actOf, keyOf } from './rollcallKeys'
import { faults, neighbour, nextWaiting, secondsLeft, stageSlots, rehearsable, unheard } from './rollcallStage'

const point = (centre: string, state: RollCallPoint['state'], reason: string | null = null): RollCallPoint =>
  ({ centre, name: centre, state, reason }) as RollCallPoint

describe('slots of the stage', () => {
  it('keeps the next centre where it is already decoded', () => {
    const first = stageSlots([null, null], ['a', 'b'])
    expect(first).toEqual(['a', 'b'])
    const second = stageSlots(first, ['b', 'c'])
    expect(second).toEqual(['c', 'b'])
    expect(stageSlots(second, ['c', null])).toEqual(['c', null])
  })
  it('shows one centre once', () => {
    expect(stageSlots(['a', null], ['a', 'a'])).toEqual(['a', null])
    expect(stageSlots(['a', 'b'], [null, null])).toEqual([null, null])
  })
})

describe('a naming that no answer came to', () => {
  const naming = { id: '1', centre: 'b', stage: 'a' }
  it('is repeated where the call stands as before', () => {
    expect(unheard(naming, { id: '1', stage: 'a', ended_at: null })).toBe('b')
  })
  it('is let go where it was heard, somebody named another one, or the call is over', () => {
    expect(unheard(naming, { id: '1', stage: 'b', ended_at: null })).toBeNull()
    expect(unheard(naming, { id: '1', stage: 'c', ended_at: null })).toBeNull()
    expect(unheard(naming, { id: '1', stage: 'a', ended_at: '2026-05-01T00:00:00Z' })).toBeNull()
    expect(unheard(naming, { id: '2', stage: 'a', ended_at: null })).toBeNull()
    expect(unheard(null, { id: '1', stage: 'a', ended_at: null })).toBeNull()
  })
})

describe('a rehearsal', () => {
  const at = Date.parse('2026-05-01T08:30:00Z')
  const call = { kind: 'daily', state: 'prechecking', planned_at: '2026-05-01T08:30:00Z' } as const
  it('is proposed from ten to two minutes before a planned call', () => {
    expect([11, 10, 2, 1].map((minutes) => rehearsable(call, at - minutes * 60_000))).toEqual([false, true, true, false])
  })
  it('is not proposed for a random check, a call that began, or none', () => {
    expect(rehearsable({ ...call, kind: 'random' }, at - 300_000)).toBe(false)
    expect(rehearsable({ ...call, state: 'running' }, at - 300_000)).toBe(false)
    expect(rehearsable({ ...call, planned_at: null }, at - 300_000)).toBe(false)
    expect(rehearsable(null, at)).toBe(false)
  })
})

describe('walking through the points', () => {
  const points = [point('a', 'passed'), point('b', 'pending'), point('c', 'absent', 'no_link'), point('d', 'ringing')]
  it('stays at the ends', () => {
    expect(neighbour(points, 'a', -1)).toBe('a')
    expect(neighbour(points, 'd', 1)).toBe('d')
    expect(neighbour(points, null, 1)).toBe('a')
    expect(neighbour([], null, 1)).toBeNull()
  })
  it('finds the next that waits, going round once', () => {
    expect(nextWaiting(points, 'b')).toBe('d')
    expect(nextWaiting(points, 'd')).toBe('b')
    expect(nextWaiting([point('a', 'passed')], 'a')).toBeNull()
  })
  it('reckons with the pace so far', () => {
    expect(secondsLeft(points, 60)).toBe(60)
    expect(secondsLeft([point('a', 'pending')], 60)).toBeNull()
    expect(faults(points)).toBe(1)
  })
})

describe('what was tried before', () => {
  const t = (key: string, named?: Record<string, unknown>): string => [key.split('.').at(-1), ...Object.values(named ?? {})].join(' ')
  it('names what is not ready, else whether media passed both ways', () => {
    expect(precheckOf({ precheck: null }, t)).toBe('')
    expect(precheckOf({ precheck: { ready: false, findings: ['a', 'b'] } }, t)).toBe('why acommab')
    expect(precheckOf({ precheck: { ready: true, findings: [], two_way: { packets: 80, lost: 1, first_ms: 120 } } }, t)).toBe('two_way 120 80 1')
    expect(precheckOf({ precheck: { ready: true, findings: [], two_way: null } }, t)).toBe('one_way')
  })
})

describe('keys', () => {
  it('are one per act', () => {
    expect(new Set(ACTS.map((one) => one.key)).size).toBe(ACTS.length)
    expect(actOf('N', false)).toBe('next')
    expect(actOf('n', false)).toBe('next')
    expect(actOf('Enter', true)).toBeNull()
    expect(actOf('q', false)).toBeNull()
    expect(keyOf('previous')).toBe('P')
  })
})
