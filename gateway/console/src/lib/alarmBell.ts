import type { Alarm } from '@/api/types'

/** Between two reminders; a console that never falls silent is switched off. */
export const REMIND_MS = 15_000
const GRAVE = 2

type Heard = Pick<Alarm, 'severity' | 'condition' | 'acknowledged' | 'visibility'>

/** The gravest severity that sounds until somebody acknowledges: red and orange that stand and are shown, else null. */
export function reminding(alarms: readonly Heard[]): number | null {
  const open = alarms.filter((alarm) => waits(alarm) && alarm.severity <= GRAVE)
  return open.length ? Math.min(...open.map((alarm) => alarm.severity)) : null
}

/** Whether an alarm waits for a person here. */
export function waits(alarm: Heard): boolean {
  return alarm.condition === 'active' && !alarm.acknowledged && alarm.visibility === 'shown'
}
