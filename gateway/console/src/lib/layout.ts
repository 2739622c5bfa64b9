/** Layout maths of walls, free of the page. */

export const LAYOUTS = [1, 4, 9, 16] as const
export type Layout = (typeof LAYOUTS)[number]

export interface Grid {
  columns: number
  rows: number
  tileWidth: number
  tileHeight: number
}

/** A wider grid fills the eye better: it is taken when its tiles are nearly as large as the largest possible. */
const NEARLY = 0.93

/** Return the grid that shows `count` tiles of `ratio` largest in a box; a tile is never under one pixel. */
export function bestGrid(count: number, width: number, height: number, gap: number, ratio = 16 / 9): Grid {
  const grids = Array.from({ length: Math.max(1, count) }, (_, at) => grid(at + 1, Math.max(1, count), width, height, gap, ratio))
  const largest = Math.max(...grids.map((one) => one.tileWidth))
  return grids.reduce((best, one) => (one.tileWidth >= largest * NEARLY ? one : best))
}

function grid(columns: number, count: number, width: number, height: number, gap: number, ratio: number): Grid {
  const rows = Math.ceil(count / columns)
  const byWidth = (width - gap * (columns - 1)) / columns
  const byHeight = ((height - gap * (rows - 1)) / rows) * ratio
  const tileWidth = Math.max(1, Math.min(byWidth, byHeight))
  return { columns, rows, tileWidth, tileHeight: tileWidth / ratio }
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
