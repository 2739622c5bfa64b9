import { expect, test } from 'vitest'
import { actOn, keysOf, PAGE_KEYS } from './pageKeys'

test.each(Object.keys(PAGE_KEYS))('a key has one meaning on the page of %s', (page) => {
  for (const column of ['act', 'shown'] as const) {
    const told = keysOf(page).map((one) => one[column])
    expect(new Set(told).size).toBe(told.length)
  }
  const keys = keysOf(page).flatMap((one) => one.key || [])
  expect(new Set(keys).size).toBe(keys.length)
})

test('a key means what its page says', () => {
  expect(actOn('alarms', 'f')).toBe('fold')
  expect(actOn('alarms', 'F')).toBe('fold')
  expect(actOn('alarms', 'g')).toBe('tree')
  expect(actOn('overview', 'f')).toBeNull()
  expect(actOn('rollcall', 'g')).toBe('name')
  expect(actOn('links', 'g')).toBeNull()
  expect(actOn('wall', 'Escape')).toBe('leave')
})
