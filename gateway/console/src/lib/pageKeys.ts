import { typing } from '@/lib/keys'
import { ACTS } from '@/lib/rollcallKeys'

export interface PageKey {
  act: string
  /** What the event calls it; empty where the page reads a group of keys itself. */
  key: string
  shown: string
}

const LIST: readonly PageKey[] = [
  { act: 'down', key: 'j', shown: 'J' },
  { act: 'up', key: 'k', shown: 'K' },
]
const WRITE: PageKey = { act: 'write', key: 'n', shown: 'N' }

const TREE: PageKey = { act: 'tree', key: 'g', shown: 'G' }
const HELP: PageKey = { act: 'help', key: '?', shown: '?' }
/** Pages that have no use for the tree of centres, or a list of their own in its place. */
const BARE: ReadonlySet<string> = new Set(['system', 'links', 'rollcall'])

export const hasTree = (page: string): boolean => !BARE.has(page)

/** What a key does on one page, by the name of its route. **A key has one meaning on a page**, and the help tells it. */
export const PAGE_KEYS: Readonly<Record<string, readonly PageKey[]>> = {
  alarms: [...LIST, { act: 'acknowledge', key: 'e', shown: 'E' }, { act: 'fold', key: 'f', shown: 'F' }, { act: 'beats', key: 'h', shown: 'H' }],
  warnings: [...LIST, WRITE],
  orders: [...LIST, WRITE],
  reports: LIST,
  bulletins: LIST,
  chain: [{ act: 'edit', key: 'e', shown: 'E' }, { act: 'save', key: '', shown: 'Ctrl+S' }],
  wall: [
    { act: 'pane', key: '', shown: '← → ↑ ↓' },
    { act: 'number', key: '', shown: '1–9' },
    { act: 'spotlight', key: 'Enter', shown: 'Enter' },
    { act: 'leave', key: 'Escape', shown: 'Esc' },
    { act: 'layout', key: '', shown: 'Shift+1–5' },
    { act: 'full', key: 'f', shown: 'F' },
    { act: 'clear', key: 'Delete', shown: 'Del' },
  ],
  rollcall: ACTS,
}

/** Return all that can be pressed on a page. */
export function keysOf(page: string): readonly PageKey[] {
  const own = PAGE_KEYS[page] ?? []
  const more = [...(hasTree(page) ? [TREE] : []), HELP]
  return [...own, ...more.filter((one) => !own.some((other) => other.act === one.act))]
}

/** The act of a key press on a page, or null; what is typed into a field or goes to a dialog is no act of the page. */
export function pageAct(page: string, event: KeyboardEvent): string | null {
  const inDialog = event.target instanceof Element && event.target.closest('[role=dialog]') !== null
  return typing(event) || inDialog ? null : actOn(page, event.key)
}

export function actOn(page: string, pressed: string): string | null {
  const key = pressed.length === 1 ? pressed.toLowerCase() : pressed
  return keysOf(page).find((one) => one.key && one.key === key)?.act ?? null
}
