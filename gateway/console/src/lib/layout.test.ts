import { describe, expect, it } from 'vitest'
import { bestGrid, place, resize, target } from './layout'

describe('bestGrid', () => {
  it('fits every tile inside the box and keeps 16:9', () => {
    for (const count of [1, 4, 7, 9, 16]) {
      for (const [width, height] of [[1366, 600], [624, 545], [400, 900]] as const) {
        const grid = bestGrid(count, width, height, 8)
        expect(grid.columns * grid.rows).toBeGreaterThanOrEqual(count)
        expect(grid.columns * grid.tileWidth + 8 * (grid.columns - 1)).toBeLessThanOrEqual(width + 0.01)
        expect(grid.rows * grid.tileHeight + 8 * (grid.rows - 1)).toBeLessThanOrEqual(height + 0.01)
        expect(grid.tileWidth / grid.tileHeight).toBeCloseTo(16 / 9)
      }
    }
  })

  it('takes the arrangement with the largest tiles', () => {
    expect(bestGrid(4, 1600, 900, 0)).toMatchObject({ columns: 2, rows: 2 })
    expect(bestGrid(7, 624, 545, 8).columns).toBe(2)
    expect(bestGrid(7, 1055, 840, 8).columns).toBe(3)
  })
})

describe('panes', () => {
  it('swaps when the stream already stands in another pane', () => {
    expect(place(['a', 'b', null], 1, 'a')).toEqual(['b', 'a', null])
    expect(place(['a', 'b', null], 2, 'c')).toEqual(['a', 'b', 'c'])
    expect(place(['a', 'b'], 0, null)).toEqual([null, 'b'])
  })

  it('keeps what stands when the layout changes', () => {
    expect(resize(['a', null, 'c', 'd'], 1)).toEqual(['a'])
    expect(resize(['a'], 4)).toEqual(['a', null, null, null])
  })

  it('puts a watched stream where the operator expects it', () => {
    expect(target(['a', null, 'b'], 'b', 0)).toBe(2)
    expect(target(['a', null, 'b'], 'c', 0)).toBe(0)
    expect(target(['a', null, 'b'], 'c', null)).toBe(1)
    expect(target(['a', 'b'], 'c', null)).toBe(0)
    expect(target(['a', 'b'], 'c', 7)).toBe(0)
  })
})
