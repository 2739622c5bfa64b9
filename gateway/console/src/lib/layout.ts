/** Layout maths of walls, free of the page. */

export const LAYOUTS = [1, 4, 9, 16, 25] as const
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

/** The layer that a pane asks for: large panes and the stage the main picture, all others the small one. */
export function layerOf(layout: number, at: number, stage: number | null): 'main' | 'thumb' {
  if (stage !== null) return at === stage ? 'main' : 'thumb'
  return layout <= 4 ? 'main' : 'thumb'
}

/** What the line serves first: the stage before large panes before small ones. */
export function priorityOf(layout: number, at: number, stage: number | null): number {
  if (stage !== null) return at === stage ? 1 : 3
  return layout <= 4 ? 2 : 3
}

export interface StageGrid {
  stageWidth: number
  columns: number
  rows: number
  tileWidth: number
  tileHeight: number
}

/** Return the grid of one large pane at the left and all others small in columns beside it. */
export function stageGrid(count: number, width: number, height: number, gap: number): StageGrid {
  const others = Math.max(1, count - 1)
  const columns = Math.min(3, Math.ceil(others / 8))
  const rows = Math.ceil(others / columns)
  const most = (width * 0.42 - gap * columns) / columns
  const tileHeight = Math.max(1, Math.min((height - gap * (rows - 1)) / rows, (most * 9) / 16, (height * 9) / 40))
  const tileWidth = (tileHeight * 16) / 9
  return { stageWidth: Math.max(1, width - columns * (tileWidth + gap)), columns, rows, tileWidth, tileHeight }
}
