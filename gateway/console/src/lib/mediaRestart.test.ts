import { describe, expect, it } from 'vitest'
import { isGone } from './mediaRestart'

describe('the death of a media worker', () => {
  const event = { sessions: ['a1', 'b2'], at: 1 }

  it('ends the sessions that it had', () => {
    expect(isGone(event, 'http://10.0.0.1:8080/whep/320623/room/a1')).toBe(true)
    expect(isGone(event, '/wall/b2')).toBe(true)
  })

  it('leaves the others alone', () => {
    expect(isGone(event, 'http://10.0.0.1:8080/whep/320623/room/c3')).toBe(false)
    expect(isGone({ sessions: [], at: 1 }, '/wall/b2')).toBe(false)
  })

  it('may have hit one that is being made', () => {
    expect(isGone(event, null)).toBe(true)
  })
})
