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

/** What was tried before the call, in one sentence: what is not ready, else that media passes in both directions. */
export function precheckOf(point: Pick<RollCallPoint, 'precheck'>, t: (key: string, named?: Record<string, unknown>) => string): string {
  const found = point.precheck
  if (!found) return ''
  if (!found.ready) return t('rollcall.precheck.why', { why: found.findings.join(t('rollcall.comma')) })
  const both = found.two_way
  return both ? t('rollcall.precheck.two_way', { ms: both.first_ms ?? '–', packets: both.packets, lost: both.lost }) : t('rollcall.precheck.one_way')
}
