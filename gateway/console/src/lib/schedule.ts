import type { RollCallSchedulePlan } from '@/api/types'

/** A schedule of roll calls as it is written down; the bounds are those of the gateway. */
export const SCHEDULED_KINDS = ['daily', 'holiday', 'flood', 'random', 'test'] as const
export const WEEKDAYS = [0, 1, 2, 3, 4, 5, 6] as const
const CLOCK = /^([01]\d|2[0-3]):[0-5]\d$/
const MOST_TIMES = 24

export interface ScheduleForm {
  title: string
  kind: string
  mode: string
  times: string
  weekdays: number[]
  from: string
  to: string
  weekly: number
  nightFrom: string
  nightTo: string
  count: number | null
  profile: string
  drill: boolean
}

export const emptySchedule = (): ScheduleForm => ({
  title: '', kind: 'daily', mode: 'parallel', times: '', weekdays: [...WEEKDAYS], from: '', to: '', weekly: 1, nightFrom: '22:00', nightTo: '06:00', count: null, profile: 'default', drill: false,
})

/** Times of day as people write them, `8:30，20：00`, in order and each once. */
export function timesOf(text: string): string[] {
  const found = text.replaceAll('：', ':').split(/[\s,，、;；]+/).filter(Boolean).map((one) => one.padStart(5, '0'))
  return [...new Set(found)].sort()
}

/** What is wrong with it, one code each; empty: it can be stored. */
export function scheduleFaults(form: ScheduleForm): string[] {
  const found: string[] = []
  const times = timesOf(form.times)
  if (form.title.trim().length > 64) found.push('title')
  if (form.kind === 'random') {
    if (!Number.isInteger(form.weekly) || form.weekly < 1 || form.weekly > 7) found.push('weekly')
    if (!CLOCK.test(form.nightFrom) || !CLOCK.test(form.nightTo)) found.push('night')
    if (form.count !== null && (!Number.isInteger(form.count) || form.count < 1)) found.push('count')
  } else if (!times.length) found.push('no_time')
  else if (times.length > MOST_TIMES || times.some((one) => !CLOCK.test(one))) found.push('times')
  if (!form.weekdays.length) found.push('weekdays')
  if (form.from && form.to && form.from > form.to) found.push('days')
  return found
}

export function planOf(form: ScheduleForm): RollCallSchedulePlan {
  const random = form.kind === 'random'
  return {
    title: form.title.trim(), kind: form.kind, mode: form.mode, times: random ? [] : timesOf(form.times), weekdays: [...form.weekdays].sort(), from_day: form.from || null, to_day: form.to || null,
    weekly_random: random ? form.weekly : 0, night_from: form.nightFrom, night_to: form.nightTo, centres: null, count: random ? form.count : null, profile: form.profile, drill: form.drill,
  }
}
