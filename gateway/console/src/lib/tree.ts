import type { Camera, Centre, Link } from '@/api/types'

/** A centre's own link as the tree shows it. `partial`: reachable, but another of its nodes is not. */
export type CentreLinkState = 'self' | 'up' | 'partial' | 'down' | 'never'

export interface CentreLink {
  state: CentreLinkState
  reason: string | null
  since: string | null
  rttMs: number | null
}

export interface TreeRow {
  centre: Centre
  depth: number
  link: CentreLink
  cameras: Camera[]
  /** County centres below (or the centre itself, if a county), and how many of them are reachable. */
  total: number
  online: number
  children: TreeRow[]
}

/** Judge a centre by all its nodes: a gateway answers for its centre, else its agent does. */
export function centreLink(links: readonly Link[], code: string, own: string): CentreLink {
  if (code === own) return { state: 'self', reason: null, since: null, rttMs: null }
  const nodes = links.filter((link) => link.centre === code)
  const chief = nodes.find((link) => link.kind === 'gateway') ?? nodes.find((link) => link.status === 'up') ?? nodes[0]
  if (!chief) return { state: 'never', reason: null, since: null, rttMs: null }
  const fallen = nodes.find((link) => link.status === 'down')
  const state: CentreLinkState = chief.status === 'up' && fallen ? 'partial' : chief.status
  const told = state === 'partial' && fallen ? fallen : chief
  return { state, reason: told.reason, since: told.since, rttMs: chief.rtt_ms }
}

/** Build the tree below `own` from flat lists. Centres whose parent is not in the list stand at the top. */
export function buildTree(
  centres: readonly Centre[], links: readonly Link[], cameras: readonly Camera[], own: string,
): TreeRow[] {
  const known = new Set(centres.map((centre) => centre.code))
  const make = (centre: Centre, depth: number): TreeRow => {
    const children = centres.filter((c) => c.parent === centre.code).map((c) => make(c, depth + 1))
    const link = centreLink(links, centre.code, own)
    const here = centre.tier === 'county' ? 1 : 0
    const reachable = here && (link.state === 'up' || link.state === 'partial' || link.state === 'self') ? 1 : 0
    return {
      centre, depth, link, children,
      cameras: chiefFirst(cameras.filter((camera) => camera.centre === centre.code)),
      total: children.reduce((sum, row) => sum + row.total, here),
      online: children.reduce((sum, row) => sum + row.online, reachable),
    }
  }
  return centres.filter((c) => c.parent === null || !known.has(c.parent)).map((c) => make(c, 0))
}

/** A labelled picture is a demonstration or a record: it never stands for its centre while a live one is there. */
function chiefFirst(cameras: readonly Camera[]): Camera[] {
  return [...cameras].sort((a, b) => Number(a.label !== null) - Number(b.label !== null))
}

export function flatten(rows: readonly TreeRow[], closed: ReadonlySet<string>): TreeRow[] {
  return rows.flatMap((row) => [row, ...(closed.has(row.centre.code) ? [] : flatten(row.children, closed))])
}

/** Choose what a wall shows by itself: the first camera of every centre, then the further ones. */
export function wallOrder(centres: readonly Centre[], cameras: readonly Camera[]): Camera[] {
  const rank = new Map(centres.map((centre, index) => [centre.code, index]))
  const seen = new Map<string, number>()
  const keyed = chiefFirst(cameras).map((camera) => {
    const nth = seen.get(camera.centre) ?? 0
    seen.set(camera.centre, nth + 1)
    return { camera, nth, rank: rank.get(camera.centre) ?? 999 }
  })
  return keyed.sort((a, b) => a.nth - b.nth || a.rank - b.rank).map((item) => item.camera)
}

/** A camera's title without its centre's name in front, where that name stands beside it anyway. */
export function shortTitle(camera: Pick<Camera, 'title' | 'name'>, centre: Pick<Centre, 'name'> | undefined): string {
  const title = centre && camera.title.startsWith(centre.name) ? camera.title.slice(centre.name.length).trim() : camera.title
  return title || camera.title || camera.name
}

/** The picture's own fault in one word, or null where nothing is known against it. */
export function pictureFault(camera: Pick<Camera, 'picture'> | undefined): string | null {
  const verdict = camera?.picture?.verdict
  return verdict && verdict !== 'live' ? verdict : null
}

/** What the agent names as wrong with a camera, its line or its sound; it may have a good picture all the same. */
export function namedFault(camera: Pick<Camera, 'picture'> | undefined): string | null {
  return camera?.picture?.fault ?? null
}
