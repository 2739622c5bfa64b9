import { expect, it } from 'vitest'
import { blanksBefore, chinaToday, monthAfter, monthEnds, seatsOf } from './duty'

it('knows months', () => {
  expect(monthEnds('2028-02')).toEqual(['2028-02-01', '2028-02-29'])
  expect(monthAfter('2026-12', 1)).toBe('2027-01')
  expect(monthAfter('2026-01', -1)).toBe('2025-12')
  expect(blanksBefore('2026-11-01')).toBe(6) // a Sunday
})

it('lives in China', () => {
  expect(chinaToday(Date.UTC(2026, 10, 23, 16, 30))).toBe('2026-11-24')
})

it('sends back what it was given', () => {
  const seat = { person: '1', name: '李局', post: '', role: 'leader' as const }
  const day = { day: '2026-11-24', version: 1, hash: '', shifts: [{ name: '全天', starts_at: '', ends_at: '', needs: {}, seats: [seat] }] }
  expect(seatsOf(day)).toEqual({ 全天: [{ person: '1', role: 'leader' }] })
})
