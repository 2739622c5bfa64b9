import { beforeEach, describe, expect, it, vi } from 'vitest'
import { ASK_EVERY_MS, OLDEST_MS, SnapshotShow, type ShownSnapshot } from './snapshot'

let made = 0
const revoked: string[] = []

beforeEach(() => {
  made = 0
  revoked.length = 0
  URL.createObjectURL = vi.fn(() => `blob:${++made}`)
  URL.revokeObjectURL = vi.fn((url: string) => void revoked.push(url))
})

function answer(status: number, ageMs?: string): Response {
  const headers: Record<string, string> = ageMs === undefined ? {} : { 'x-snapshot-age-ms': ageMs }
  return new Response(status === 200 ? new Blob(['jpeg']) : null, { status, headers })
}

function show(get: () => Promise<Response>) {
  const clock = { now: 0 }
  const told: (ShownSnapshot | null)[] = []
  const shots = new SnapshotShow('320623/room', (shown) => told.push(shown), get, () => clock.now)
  return { clock, told, shots }
}

describe('a snapshot in place of a stream', () => {
  it('grows old on the screen, and a newer one takes its place', async () => {
    const get = vi.fn(() => Promise.resolve(answer(200, '1500')))
    const { clock, told, shots } = show(get)
    await shots.tick()
    expect(told.at(-1)).toEqual({ url: 'blob:1', ageMs: 1500 })
    clock.now = 1000
    await shots.tick()
    expect(told.at(-1)).toEqual({ url: 'blob:1', ageMs: 2500 })
    expect(get).toHaveBeenCalledTimes(1)
    clock.now = ASK_EVERY_MS
    await shots.tick()
    expect(told.at(-1)).toEqual({ url: 'blob:2', ageMs: 1500 })
    expect(revoked).toEqual(['blob:1'])
  })

  it('is gone when the gateway has none, and is let go at the end', async () => {
    const answers = [answer(200, '0'), answer(404), answer(200, '0')]
    const { clock, told, shots } = show(() => Promise.resolve(answers.shift() ?? answer(404)))
    await shots.tick()
    clock.now = ASK_EVERY_MS
    await shots.tick()
    expect(told.at(-1)).toBeNull()
    clock.now = 2 * ASK_EVERY_MS
    await shots.tick()
    shots.close()
    expect(revoked).toEqual(['blob:1', 'blob:2'])
  })

  it('is not shown for ever while the gateway is away, nor without its age', async () => {
    const answers = [Promise.resolve(answer(200, '0'))]
    const { clock, told, shots } = show(() => answers.shift() ?? Promise.reject(new Error('away')))
    await shots.tick()
    clock.now = OLDEST_MS + 1
    await shots.tick()
    expect(told.at(-1)).toBeNull()
    const ageless = show(() => Promise.resolve(answer(200)))
    await ageless.shots.tick()
    expect(ageless.told).toEqual([])
  })
})
