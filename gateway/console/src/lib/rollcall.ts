import type { PointState, RollCall, RollCallPoint } from '@/api/types'

/** The four things a room wants to see at a glance; every point state belongs to exactly one. */
export type PointGroup = 'waiting' | 'present' | 'absent' | 'aside'

const GROUPS: Record<PointState, PointGroup> = {
  pending: 'waiting', ringing: 'waiting', connecting: 'waiting', verifying: 'waiting', makeup: 'waiting',
  passed: 'present', passed_with_issues: 'present', passed_late: 'present',
  failed: 'absent', no_answer: 'absent', link_lost: 'absent', absent: 'absent', unreachable: 'absent',
  excused: 'aside', skipped: 'aside',
}

export function groupOf(state: PointState): PointGroup {
  return GROUPS[state] ?? 'waiting'
}

/** States of a call that has not begun. */
export const BEFORE: ReadonlySet<string> = new Set(['draft', 'scheduled', 'prechecking', 'ready'])

/** A roll call goes on until the gateway says when it ended. */
export function running(call: Pick<RollCall, 'ended_at' | 'state'> | null): boolean {
  return call !== null && !call.ended_at && !BEFORE.has(call.state)
}

export function waiting(points: readonly RollCallPoint[]): number {
  return points.filter((point) => groupOf(point.state) === 'waiting').length
}
