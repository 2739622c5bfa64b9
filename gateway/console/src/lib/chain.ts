import type { Chain, ChainContact, ChainLadder, ChainStep, ChainTarget } from '@/api/types'

/** The escalation chain as it is edited: whole, with a ladder for each severity; the bounds are those of the gateway. */
export const SIDES = ['own', 'handed'] as const
export type Side = (typeof SIDES)[number]
export const SEVERITIES = ['1', '2', '3', '4'] as const
export const COLOURS = { 1: 'red', 2: 'orange', 3: 'yellow', 4: 'blue' } as const
export type Severity = (typeof SEVERITIES)[number]
export const CHANNELS = ['sound', 'sms', 'email', 'webhook'] as const
export type Draft = Chain & Record<Side, Record<Severity, ChainLadder>>
const DAY_S = 86_400
const MOST_STEPS = 20
const MOST_CONTACTS = 500

/** What is wrong, and where: `at` counts steps or contacts from 1, 0 is the ladder itself. */
export interface Fault { side: Side | null; severity: Severity | null; at: number; code: string }

export const noLadder = (): ChainLadder => ({ steps: [], repeats: 0, repeat_every_s: 600, reopen_after_s: null, silent_after_s: null })
export const newStep = (after_s: number): ChainStep => ({ after_s, targets: [newTarget()], upward: false })
export const newTarget = (): ChainTarget => ({ role: 'duty_officer', name: null, channels: ['sound'] })
export const newContact = (): ChainContact => ({ name: '', role: 'duty_officer', phone: null, email: null, url: null })

const copy = <T>(of: T): T => JSON.parse(JSON.stringify(of)) as T
const sideOf = (chain: Chain, side: Side): Record<Severity, ChainLadder> =>
  Object.fromEntries(SEVERITIES.map((severity) => [severity, copy(chain[side][severity] ?? noLadder())])) as Record<Severity, ChainLadder>

/** A chain to edit; the given one is left as it is. */
export function opened(chain: Chain): Draft {
  return { contacts: copy(chain.contacts), own: sideOf(chain, 'own'), handed: sideOf(chain, 'handed') }
}

const tidy = (ladder: ChainLadder): ChainLadder => ({ ...ladder, steps: [...ladder.steps].sort((a, b) => a.after_s - b.after_s) })

/** A chain as it is sent: steps in the order of time, no blanks where nothing was written. */
export function ready(draft: Chain): Chain {
  const chain = opened(draft)
  for (const side of SIDES) for (const severity of SEVERITIES) chain[side][severity] = tidy(chain[side][severity])
  const text = (value: string | null): string | null => value?.trim() || null
  chain.contacts = chain.contacts.map((one) => ({ name: one.name.trim(), role: one.role.trim(), phone: text(one.phone), email: text(one.email), url: text(one.url) }))
  return chain
}

export const same = (a: Chain, b: Chain): boolean => JSON.stringify(ready(a)) === JSON.stringify(ready(b))

const within = (value: number | null, least: number, most: number): boolean => value !== null && Number.isInteger(value) && value >= least && value <= most
const within0 = (value: number | null, least: number, most: number): boolean => value === null || within(value, least, most)

function stepFaults(step: ChainStep, names: ReadonlySet<string>): string[] {
  const found: string[] = []
  if (!within(step.after_s, 0, DAY_S)) found.push('after')
  if (!step.targets.length && !step.upward) found.push('idle')
  if (step.targets.some((target) => !target.channels.length)) found.push('channels')
  if (step.targets.some((target) => target.name !== null && !names.has(target.name))) found.push('stranger')
  return found
}

function ladderFaults(ladder: ChainLadder): string[] {
  const found: string[] = []
  if (ladder.steps.length > MOST_STEPS) found.push('steps')
  if (!within(ladder.repeats, 0, 10)) found.push('repeats')
  if (!within(ladder.repeat_every_s, 60, DAY_S)) found.push('repeat_every')
  if (!within0(ladder.reopen_after_s, 60, 4 * DAY_S)) found.push('reopen_after')
  if (!within0(ladder.silent_after_s, 60, DAY_S)) found.push('silent_after')
  return found
}

function contactFaults(one: ChainContact, all: readonly ChainContact[]): string[] {
  const found: string[] = []
  if (!one.name || one.name.length > 64) found.push('name')
  else if (all.filter((other) => other.name === one.name).length > 1) found.push('twice')
  if (!/^[a-z_]{1,32}$/.test(one.role)) found.push('role')
  if (one.phone && !/^\+?[0-9 -]{3,20}$/.test(one.phone)) found.push('phone')
  if (one.email && (!/^[^@\s<>,;]+@[^@\s<>,;]+$/.test(one.email) || one.email.length > 128)) found.push('email')
  if (one.url && (!/^https?:\/\/\S+$/.test(one.url) || one.url.length > 512)) found.push('url')
  return found
}

/** Everything that the gateway would refuse, before it is asked. Steps are counted as they stand on the screen. */
export function faultsOf(draft: Draft): Fault[] {
  const contacts = ready(draft).contacts
  const names = new Set(contacts.map((one) => one.name))
  const found: Fault[] = contacts.flatMap((one, n) => contactFaults(one, contacts).map((code) => ({ side: null, severity: null, at: n + 1, code })))
  if (contacts.length > MOST_CONTACTS) found.push({ side: null, severity: null, at: 0, code: 'contacts' })
  for (const side of SIDES) {
    for (const severity of SEVERITIES) {
      const ladder = draft[side][severity]
      found.push(...ladderFaults(ladder).map((code) => ({ side, severity, at: 0, code })))
      found.push(...ladder.steps.flatMap((step, n) => stepFaults(step, names).map((code) => ({ side, severity, at: n + 1, code }))))
    }
  }
  return found
}

/** The roles that steps can name: the usual ones, those of the contacts, those already named. */
export function rolesOf(chain: Chain): string[] {
  const named = SIDES.flatMap((side) => Object.values(chain[side]).flatMap((ladder) => ladder?.steps.flatMap((step) => step.targets.map((target) => target.role)) ?? []))
  return [...new Set(['duty_officer', 'leader', ...chain.contacts.map((one) => one.role), ...named].filter((role): role is string => !!role))]
}
