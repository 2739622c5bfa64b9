/**
 * The call list as lines that a person types, or pastes from a sheet:
 *
 *   洋口镇 320623104 @32.5,120.5 | 张三 13800000001 > 王五 13800000002 | ~ 赵六 13800000009
 *
 * target, code, place where known | a post with its persons in order, as many posts as there are | ~ and who goes there.
 */
import type { CallList, CallTarget, ListPerson, Outlet } from '@/api/types'

export const OUTLET_KINDS = ['neighbour', 'garrison', 'department', 'broadcaster', 'carrier', 'public_place'] as const
const NEIGHBOUR = /^~\s*/

/** A line that cannot be read: its number (from 1), the key of the sentence, and what is wrong there. */
export class LineError extends Error {
  constructor(
    readonly line: number,
    readonly key: string,
    readonly what: string,
  ) {
    super(`${line}: ${key} ${what}`)
  }
}

function person(text: string, line: number): ListPerson {
  const [name, ...ways] = text.trim().split(/\s+/)
  if (!name) throw new LineError(line, 'no_name', text)
  const found: ListPerson = { name, post: '', phone: null, email: null, url: null }
  for (const way of ways) {
    if (/^https?:\/\//.test(way)) found.url = way
    else if (way.includes('@')) found.email = way
    else if (/^\+?[0-9-]{3,20}$/.test(way)) found.phone = way
    else if (!found.post) found.post = way
    else throw new LineError(line, 'no_way', way)
  }
  return found
}

function said(one: ListPerson): string {
  return [one.name, one.post, one.phone, one.email, one.url].filter(Boolean).join(' ')
}

function target(text: string, line: number): CallTarget {
  const [head, ...rest] = text.split('|').map((part) => part.trim())
  const words = (head ?? '').split(/\s+/)
  const at = words.find((word) => word.startsWith('@'))
  const code = words.find((word) => /^[0-9]{6}([0-9]{3}([0-9]{3})?)?$/.test(word))
  const name = words.filter((word) => word !== at && word !== code).join(' ')
  if (!code) throw new LineError(line, 'no_code', head ?? '')
  if (!name) throw new LineError(line, 'no_name', head ?? '')
  const place = at?.slice(1).split(',').map(Number)
  if (place && (place.length !== 2 || place.some(Number.isNaN))) throw new LineError(line, 'no_place', at ?? '')
  const near = rest.filter((part) => NEIGHBOUR.test(part))
  const posts = rest.filter((part) => part && !NEIGHBOUR.test(part))
  if (!posts.length) throw new LineError(line, 'nobody', name)
  return {
    name,
    code,
    place: place ? [place[0] as number, place[1] as number] : null,
    responsible: posts.map((part) => ({ chain: part.split('>').map((one) => person(one, line)) })),
    neighbour: near[0] ? person(near[0].replace(NEIGHBOUR, ''), line) : null,
  }
}

function outlet(text: string, line: number): Outlet {
  const [kind, ...rest] = text.trim().split(/\s+/)
  const known = OUTLET_KINDS.find((one) => one === kind)
  if (!known) throw new LineError(line, 'no_kind', kind ?? '')
  const { name, phone, email, url } = person(rest.join(' '), line)
  if (!phone && !email && !url) throw new LineError(line, 'no_way', name)
  return { name, kind: known, phone, email, url }
}

function lines<T>(text: string, read: (line: string, at: number) => T): T[] {
  return text.split('\n').flatMap((line, at) => (line.trim() ? [read(line, at + 1)] : []))
}

export function parseList(targets: string, outlets: string): CallList {
  return { targets: lines(targets, target), outlets: lines(outlets, outlet) }
}

export function targetsText(list: CallList): string {
  return list.targets
    .map((one) => {
      const head = [one.name, one.code, one.place ? `@${one.place.join(',')}` : ''].filter(Boolean).join(' ')
      const posts = one.responsible.map((post) => post.chain.map(said).join(' > '))
      return [head, ...posts, ...(one.neighbour ? [`~ ${said(one.neighbour)}`] : [])].join(' | ')
    })
    .join('\n')
}

export function outletsText(list: CallList): string {
  return list.outlets.map((one) => [one.kind, one.name, one.phone, one.email, one.url].filter(Boolean).join(' ')).join('\n')
}
