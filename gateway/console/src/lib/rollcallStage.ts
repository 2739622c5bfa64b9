import type { RollCall, RollCallPoint } from '@/api/types'
import { BEFORE, groupOf } from './rollcall'

/**
 * Lay the named centre and the one that comes next into two slots. What is already in a slot stays there, so that the next
 * one is on stage the moment it is named, without a slot being switched.
 */
export function stageSlots(before: readonly (string | null)[], wanted: readonly (string | null)[]): (string | null)[] {
  const wishes = [...new Set(wanted.filter((one): one is string => one !== null))].slice(0, before.length)
  const slots = before.map((one) => (one !== null && wishes.includes(one) ? one : null))
  for (const wish of wishes) if (!slots.includes(wish)) slots[slots.indexOf(null)] = wish
  return slots
}

/** Somebody was named, and no answer came: the gateway may not have heard it. `stage`: whom it named before. */
export interface Naming {
  id: string
  centre: string
  stage: string | null
}

/** Whom to name once more when the gateway is back; nobody where the call has moved since, or ended. */
export function unheard(naming: Naming | null, call: Pick<RollCall, 'id' | 'stage' | 'ended_at'> | null): string | null {
  if (!naming || !call || call.id !== naming.id || call.ended_at !== null) return null
  const stage = call.stage ?? null
  return stage === naming.stage && stage !== naming.centre ? naming.centre : null
}

export const REHEARSAL_FROM_MS = 10 * 60_000
export const REHEARSAL_UNTIL_MS = 2 * 60_000

/**
 * Whether a rehearsal is proposed: from ten minutes before a planned call on, while there is time for it. Never before a random
 * check, which no county may know of.
 */
export function rehearsable(call: Pick<RollCall, 'kind' | 'state' | 'planned_at'> | null, nowMs: number): boolean {
  if (!call?.planned_at || !BEFORE.has(call.state) || call.kind === 'random') return false
  const left = new Date(call.planned_at).getTime() - nowMs
  return left <= REHEARSAL_FROM_MS && left >= REHEARSAL_UNTIL_MS
}

/** The point before or after one in the list's order; stays at the ends. */
export function neighbour(points: readonly RollCallPoint[], centre: string | null, by: number): string | null {
  const at = points.findIndex((point) => point.centre === centre)
  const to = at < 0 ? 0 : Math.min(points.length - 1, Math.max(0, at + by))
  return points[to]?.centre ?? null
}

/** The next point after `centre` that still waits for its verdict, going round once. */
export function nextWaiting(points: readonly RollCallPoint[], centre: string | null): string | null {
  const at = points.findIndex((point) => point.centre === centre)
  const round = [...points.slice(at + 1), ...points.slice(0, Math.max(0, at))]
  return round.find((point) => groupOf(point.state) === 'waiting')?.centre ?? null
}

/** Seconds that the waiting points will take at the pace so far, null before the first verdict. */
export function secondsLeft(points: readonly RollCallPoint[], elapsedS: number): number | null {
  const waiting = points.filter((point) => groupOf(point.state) === 'waiting').length
  const done = points.length - waiting
  return done > 0 ? Math.round((elapsedS / done) * waiting) : null
}

/** Links, not people: what must not be counted against a county's duty room. */
export function faults(points: readonly RollCallPoint[]): number {
  return points.filter((point) => point.state === 'link_lost' || point.state === 'unreachable' || point.reason === 'no_link').length
}
