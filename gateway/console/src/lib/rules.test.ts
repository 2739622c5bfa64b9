import { describe, expect, it } from 'vitest'
import type { PointState } from '@/api/types'
import { Backoff } from './backoff'
import { deviceFault } from './permission'
import { groupOf, running } from './rollcall'
import { mediaUrl } from './signal'
import { clock, duration, longDate, preciseTime, shortTime } from './time'
import { bytes, percent } from './units'
import { judge, NO_FRAME_AFTER_MS, STALLED_AFTER_MS } from './whep'

describe('Backoff', () => {
  it('doubles to its limit, keeps half as jitter and starts anew after a success', () => {
    const least = new Backoff(0.5, 8, () => 0)
    expect([1, 2, 3, 4, 5, 6].map(() => least.next())).toEqual([0.25, 0.5, 1, 2, 4, 4])
    least.reset()
    expect(least.next()).toBe(0.25)
    expect(new Backoff(0.5, 8, () => 1).next()).toBe(0.5)
  })
})

describe('judge', () => {
  it('says live only for a fresh frame', () => {
    expect(judge('connecting', null, 100)).toBe('connecting')
    expect(judge('connecting', null, NO_FRAME_AFTER_MS + 1)).toBe('again')
    expect(judge('connecting', 40, 500)).toBe('live')
    expect(judge('live', STALLED_AFTER_MS + 1, 60000)).toBe('stalled')
    expect(judge('stalled', 40, 60000)).toBe('live')
    expect(judge('stalled', NO_FRAME_AFTER_MS + 1, 60000)).toBe('again')
    expect(judge('closed', 40, 60000)).toBe('closed')
  })
})

describe('time', () => {
  it('is Shanghai time in 24 hours whatever the computer says', () => {
    const at = new Date('2026-11-23T16:05:07.042Z')
    expect(clock(at)).toBe('00:05:07')
    expect(longDate(at, 'zh-CN')).toBe('2026\u5e7411\u670824\u65e5')
    expect(longDate(at, 'en')).toBe('2026-11-24')
    expect(preciseTime('2026-11-23T16:05:07.042Z')).toBe('11-24 00:05:07.042')
    expect(shortTime('2026-11-23T16:05:07Z', at)).toBe('00:05:07')
    expect(shortTime('2026-11-22T16:05:07Z', at)).toBe('11-23 00:05:07')
    expect(shortTime(null)).toBe('–')
    expect(shortTime('nonsense')).toBe('–')
  })

  it('counts durations', () => {
    expect(duration(0, 65000)).toBe('01:05')
    expect(duration(0, 3661000)).toBe('01:01:01')
    expect(duration(5000, 0)).toBe('00:00')
  })
})

it('reads sizes and ratios', () => {
  expect(bytes(61e9)).toBe('56.8 GB')
  expect(bytes(0)).toBe('0 B')
  expect(bytes(null)).toBe('–')
  expect(percent(0.234)).toBe('23%')
})

it('puts every point state into one group', () => {
  const present: PointState[] = ['passed', 'passed_with_issues', 'passed_late']
  const absent: PointState[] = ['failed', 'no_answer', 'link_lost', 'absent', 'unreachable']
  expect(present.map(groupOf)).toEqual(['present', 'present', 'present'])
  expect(absent.map(groupOf).every((group) => group === 'absent')).toBe(true)
  expect(groupOf('ringing')).toBe('waiting')
  expect(running({ ended_at: null, state: 'running' })).toBe(true)
  expect(running({ ended_at: '2026-11-23T00:00:00Z', state: 'reviewing' })).toBe(false)
})

it('names the fault of a device', () => {
  expect(deviceFault('NotAllowedError')).toBe('denied')
  expect(deviceFault('NotFoundError')).toBe('absent')
  expect(deviceFault('NotReadableError')).toBe('busy')
  expect(deviceFault('')).toBe('unknown')
})

it('keeps media on the page\u2019s own origin for another loopback name alone', () => {
  expect(mediaUrl('http://127.0.0.1:8080/whep/a/b', 'http://localhost:8080/wall')).toBe('http://localhost:8080/whep/a/b')
  expect(mediaUrl('/whep/a/b', 'https://gw.example/wall')).toBe('https://gw.example/whep/a/b')
  expect(mediaUrl('https://media.example/whep/a', 'https://gw.example/')).toBe('https://media.example/whep/a')
})
