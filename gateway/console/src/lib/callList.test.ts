import { describe, expect, it } from 'vitest'
import { LineError, outletsText, parseList, targetsText } from './callList'

const TARGETS = `洋口镇 320623104 @32.5,120.5 | 张三 镇长 13800000001 zhang@town.example > 王五 138-0000 | 李四 110 | ~ 赵六 13800000009
洋口村 320623104201 | 孙七 13800000004`
const OUTLETS = 'broadcaster 县电视台 tv@county.example\nneighbour 海安 https://next.example/cap'

describe('the call list', () => {
  it('reads what a person types and writes it back', () => {
    const list = parseList(TARGETS, OUTLETS)
    expect(list.targets[0]?.place).toEqual([32.5, 120.5])
    expect(list.targets[0]?.responsible[0]?.chain.map((one) => one.name)).toEqual(['张三', '王五'])
    expect(list.targets[0]?.neighbour?.name).toBe('赵六')
    expect(targetsText(list)).toBe(TARGETS)
    expect(outletsText(list)).toBe(OUTLETS)
    expect(parseList(targetsText(list), outletsText(list))).toEqual(list)
  })

  it.each([
    ['洋口镇 | 张三 110', '', 'no_code'],
    ['洋口镇 320623104', '', 'nobody'],
    ['320623104 | 张三 110', '', 'no_name'],
    ['洋口镇 320623104 @x | 张三 110', '', 'no_place'],
    ['洋口镇 320623104 | 张三 镇长 又 110', '', 'no_way'],
    ['', 'radio 电台 110', 'no_kind'],
    ['', 'broadcaster 电台', 'no_way'],
  ])('names the line that it cannot read', (targets, outlets, key) => {
    expect(() => parseList(`\n${targets}`, outlets)).toThrow(LineError)
    try {
      parseList(targets, outlets)
    } catch (error) {
      expect((error as LineError).key).toBe(key)
      expect((error as LineError).line).toBe(1)
    }
  })

  it('is empty for empty text', () => {
    expect(parseList('\n \n', '')).toEqual({ targets: [], outlets: [] })
  })
})
