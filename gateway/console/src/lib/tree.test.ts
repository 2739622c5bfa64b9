import { describe, expect, it } from 'vitest'
import type { Camera, Centre, Link } from '@/api/types'
import { buildTree, centreLink, flatten, pictureFault, shortTitle, wallOrder } from './tree'

const centre = (code: string, tier: Centre['tier'], parent: string | null): Centre => ({ code, name: code, name_en: code, tier, parent })
const link = (node: string, change: Partial<Link> = {}): Link => ({
  node, centre: node.slice(0, 6), tier: 'county', kind: node.length > 6 ? 'agent' : 'gateway', direct: true, status: 'up', reason: null,
  since: null, last_heartbeat_at: null, rtt_ms: 3, version: '', box: null, reported_by: null, ...change,
})
const camera = (id: string): Camera => ({
  id, centre: id.split('/')[0] ?? '', name: id.split('/')[1] ?? '', title: '', kind: 'testcard', label: null, owner: null, picture: null, stream: null,
})
const centres = [centre('320600', 'city', '320000'), centre('320612', 'county', '320600'), centre('320623', 'county', '320600'), centre('320685', 'county', '320600')]

describe('centreLink', () => {
  it('lets the gateway answer for its centre and names a fallen box as partial', () => {
    const links = [link('320623'), link('320623-box', { status: 'down', reason: 'no_heartbeat' })]
    expect(centreLink(links, '320623', '320600')).toMatchObject({ state: 'partial', reason: 'no_heartbeat' })
    expect(centreLink([link('320623', { status: 'down', reason: 'tls' }), link('320623-box')], '320623', '320600')).toMatchObject({ state: 'down', reason: 'tls' })
  })

  it('says never where no node is known and self for the own centre', () => {
    expect(centreLink([], '320685', '320600').state).toBe('never')
    expect(centreLink([], '320600', '320600').state).toBe('self')
  })
})

describe('buildTree', () => {
  const tree = buildTree(centres, [link('320612-box'), link('320623', { status: 'down', reason: 'timeout' })], [camera('320612/hall')], '320600')

  it('rolls the reachable counties up', () => {
    expect(tree).toHaveLength(1)
    expect(tree[0]).toMatchObject({ total: 3, online: 1 })
    expect(tree[0]?.children[0]?.cameras).toHaveLength(1)
  })

  it('folds a closed branch away', () => {
    expect(flatten(tree, new Set()).map((row) => row.depth)).toEqual([0, 1, 1, 1])
    expect(flatten(tree, new Set(['320600']))).toHaveLength(1)
  })
})

it('shows every centre once before it shows any a second time', () => {
  const order = wallOrder(centres, ['320623/b', '320612/a', '320612/b', '320623/a'].map(camera)).map((item) => item.id)
  expect(order).toEqual(['320612/a', '320623/b', '320612/b', '320623/a'])
})

it('lets a live picture stand for its centre before a recorded one', () => {
  const film = { ...camera('320612/a'), label: 'film' }
  expect(wallOrder(centres, [film, camera('320612/b'), camera('320623/a')]).map((item) => item.id)).toEqual(['320612/b', '320623/a', '320612/a'])
})

it('does not say the centre twice on a plate', () => {
  expect(shortTitle({ title: 'Rugao Hall', name: 'room' }, { name: 'Rugao' })).toBe('Hall')
  expect(shortTitle({ title: 'Rugao', name: 'room' }, { name: 'Rugao' })).toBe('Rugao')
  expect(shortTitle({ title: '', name: 'room' }, undefined)).toBe('room')
})

it('knows no fault of a picture that was never judged', () => {
  expect(pictureFault(camera('320612/a'))).toBeNull()
  expect(pictureFault({ ...camera('320612/a'), picture: { verdict: 'frozen', frame_age_ms: null, checked_at: null } })).toBe('frozen')
})
