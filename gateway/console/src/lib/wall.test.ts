import { describe, expect, it } from 'vitest'
import { fragmentOf, restartedAnswer } from './iceRestart'
import { layerOf, priorityOf, stageGrid } from './layout'
import { belongs } from './slotPlayer'
import { DARK_MS, differences, nextStep, RESTART_MS, SHAKY_MS } from './wallSession'

const OFFER = 'v=0\r\nm=video 50000 UDP/TLS/RTP/SAVPF 96\r\na=candidate:1 1 udp 1 127.0.0.1 50000 typ host\r\na=ice-ufrag:new\r\na=ice-pwd:newpassword\r\na=mid:0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:new\r\na=ice-pwd:newpassword\r\na=mid:1\r\n'
const STANDING = 'v=0\r\na=ice-lite\r\nm=video 9 X 96\r\na=ice-ufrag:old\r\na=ice-pwd:oldpassword\r\na=candidate:9 1 udp 1 127.0.0.1 9 typ host\r\na=end-of-candidates\r\nm=audio 9 X 111\r\na=ice-ufrag:old\r\na=ice-pwd:oldpassword\r\n'

describe('ICE restart over HTTP', () => {
  it('sends the new credentials with the first section and the candidates', () => {
    expect(fragmentOf(OFFER)).toBe('a=ice-ufrag:new\r\na=ice-pwd:newpassword\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 50000 typ host\r\n')
  })

  it('puts the new credentials into every section and the candidates into the first', () => {
    const sdp = restartedAnswer(STANDING, 'a=ice-ufrag:far\r\na=ice-pwd:farpassword\r\na=candidate:2 1 udp 1 127.0.0.1 7 typ host\r\n')
    expect(sdp).not.toContain('old')
    expect(sdp).not.toContain('127.0.0.1 9 ')
    expect(sdp.match(/a=ice-ufrag:far/g)).toHaveLength(2)
    expect(sdp.match(/a=candidate:/g)).toHaveLength(1)
    expect(() => restartedAnswer(STANDING, '')).toThrow()
  })
})

describe('the ladder of a wall', () => {
  it('restarts ICE first and makes a new wall where that brings nothing', () => {
    expect(nextStep(100, null, false, null)).toBe('none')
    expect(nextStep(DARK_MS + 1, null, false, null)).toBe('ice_restart')
    expect(nextStep(100, SHAKY_MS + 1, false, null)).toBe('ice_restart')
    expect(nextStep(100, 10, true, null)).toBe('ice_restart')
    expect(nextStep(DARK_MS + 1, null, false, 10)).toBe('none')
    expect(nextStep(DARK_MS + 1, null, false, RESTART_MS + 1)).toBe('anew')
  })
})

describe('slots', () => {
  const wish = { stream: '320612/room', layer: 'thumb' as const, priority: 3 }
  it('sends what differs, and empties all while the page is hidden', () => {
    const wishes = new Map([['video/0', wish], ['video/1', null]])
    expect(differences(wishes, new Map(), false)).toEqual([['video/0', wish]])
    const sent = new Map([['video/0', JSON.stringify(wish)]])
    expect(differences(wishes, sent, false)).toEqual([])
    expect(differences(wishes, sent, true)).toEqual([['video/0', null]])
  })

  it('never takes a frame of the former camera for the new one', () => {
    const told = { stream: '320612/room', showing: 'thumb', why: null, since: '', heardAt: 100 }
    expect(belongs(told, '320612/room', 99)).toBe(false)
    expect(belongs(told, '320612/room', 101)).toBe(true)
    expect(belongs(told, '320623/room', 101)).toBe(false)
    expect(belongs({ ...told, showing: 'waiting' }, '320612/room', 101)).toBe(false)
    expect(belongs(null, '320612/room', 101)).toBe(false)
  })
})

describe('stage', () => {
  it('gets the large picture, the others the small one', () => {
    expect([layerOf(9, 0, null), layerOf(4, 0, null), layerOf(9, 3, 3), layerOf(4, 0, 3)]).toEqual(['thumb', 'main', 'main', 'thumb'])
    expect([priorityOf(9, 3, 3), priorityOf(4, 0, null), priorityOf(16, 0, null)]).toEqual([1, 2, 3])
  })

  it('leaves room for all others beside it', () => {
    for (const count of [4, 9, 16, 25]) {
      const grid = stageGrid(count, 1600, 900, 6)
      expect(grid.columns * grid.rows).toBeGreaterThanOrEqual(count - 1)
      expect(grid.stageWidth + grid.columns * (grid.tileWidth + 6)).toBeLessThanOrEqual(1600.01)
      expect(grid.rows * (grid.tileHeight + 6) - 6).toBeLessThanOrEqual(900.01)
      expect(grid.stageWidth).toBeGreaterThan(3 * grid.tileWidth)
    }
  })
})
