/** Layout maths of walls, free of the page. */

export const LAYOUTS = [1, 4, 9, 16] as const
export type Layout = (typeof LAYOUTS)[number]

export interface Grid {
  columns: number
  rows: number
  tileWidth: number
  tileHeight: number
}

/** Return the grid that shows `count` tiles of `ratio` largest in a box; a tile is never under one pixel. */
export function bestGrid(count: number, width: number, height: number, gap: number, ratio = 16 / 9): Grid {
  let best: Grid = { columns: 1, rows: Math.max(1, count), tileWidth: 1, tileHeight: 1 }
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(Math.max(1, count) / columns)
    const byWidth = (width - gap * (columns - 1)) / columns
    const byHeight = ((height - gap * (rows - 1)) / rows) * ratio
    const tileWidth = Math.max(1, Math.min(byWidth, byHeight))
    if (tileWidth > best.tileWidth) best = { columns, rows, tileWidth, tileHeight: tileWidth / ratio }
  }
  return best
}

/** Put a stream into a pane. If it already stands in another, the two panes change places. */
export function place(panes: readonly (string | null)[], at: number, stream: string | null): (string | null)[] {
  const next = [...panes]
  const from = stream === null ? -1 : next.indexOf(stream)
  if (from >= 0) next[from] = next[at] ?? null
  next[at] = stream
  return next
}

/** Return panes for a layout: what stands stays, free panes stay free. */
export function resize(panes: readonly (string | null)[], layout: number): (string | null)[] {
  return Array.from({ length: layout }, (_, index) => panes[index] ?? null)
}

/** Where "watch" puts a stream: its own pane, else the chosen one, else the first free one, else the first. */
export function target(panes: readonly (string | null)[], stream: string, chosen: number | null): number {
  const own = panes.indexOf(stream)
  if (own >= 0) return own
  if (chosen !== null && chosen < panes.length) return chosen
  const free = panes.indexOf(null)
  return free >= 0 ? free : 0
}
