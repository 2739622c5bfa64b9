import { expect, it } from 'vitest'
import { emptySchedule, planOf, scheduleFaults, timesOf } from './schedule'

it('reads times as people write them', () => {
  expect(timesOf(' 20：00，8:30、08:30 ')).toEqual(['08:30', '20:00'])
  expect(timesOf('')).toEqual([])
})

it('names what is missing or wrong', () => {
  expect(scheduleFaults(emptySchedule())).toEqual(['no_time'])
  expect(scheduleFaults({ ...emptySchedule(), times: '8:30' })).toEqual([])
  expect(scheduleFaults({ ...emptySchedule(), times: '24:00', weekdays: [], from: '2026-12-02', to: '2026-12-01', title: 'x'.repeat(65) })).toEqual(['title', 'times', 'weekdays', 'days'])
  expect(scheduleFaults({ ...emptySchedule(), kind: 'random', weekly: 8, nightTo: '', count: 0 })).toEqual(['weekly', 'night', 'count'])
})

it('keeps fixed times and random nights apart', () => {
  const fixed = planOf({ ...emptySchedule(), times: '20:00 8:30', weekdays: [4, 0], from: '2026-06-01', count: 3 })
  expect(fixed).toMatchObject({ times: ['08:30', '20:00'], weekdays: [0, 4], from_day: '2026-06-01', to_day: null, weekly_random: 0, count: null })
  expect(planOf({ ...emptySchedule(), kind: 'random', times: '8:30', weekly: 2, count: 3 })).toMatchObject({ times: [], weekly_random: 2, count: 3 })
})
