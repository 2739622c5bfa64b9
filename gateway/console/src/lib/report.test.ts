import { describe, expect, it } from 'vitest'
import { fromField, toField, wantsReason } from './report'

describe('reports', () => {
  it('asks for a reason exactly where the gateway does', () => {
    const cases: [number | null, number | null, boolean][] = [
      [null, 5, false], [4, 4, false], [4, 3, true], [4, null, true], [2, 3, false], [2, 4, true], [100, 150, false], [100, 151, true], [0, 1, true],
    ]
    for (const [before, now, wanted] of cases) expect(wantsReason(before, now)).toBe(wanted)
  })
  it('shows and takes Beijing time', () => {
    expect(toField('2026-03-01T01:10:00Z')).toBe('2026-03-01T09:10:00')
    expect(fromField('2026-03-01T09:10')).toBe('2026-03-01T01:10:00.000Z')
    expect(fromField('')).toBeNull()
  })
})
