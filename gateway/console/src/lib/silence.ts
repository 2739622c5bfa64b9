import type { Alarm, Link, UpperLink } from '@/api/types'

/** Kinds of alarms that say that something has stopped reporting. */
export const SILENT_KINDS = ['dev.silent', 'dev.feed', 'link.down'] as const

/** Something that does not report; `since` null: it never has. `alarm` is the one that says so, where there is one. */
export interface Silent {
  key: string
  what: 'node' | 'upper' | 'sensor' | 'feed'
  name: string
  centre: string | null
  status: 'down' | 'never'
  reason: string | null
  since: string | null
  alarm: Alarm | null
}

const nodeOf = (alarm: Alarm): string | null => (alarm.event_type === 'link.down' ? alarm.alarm_key.slice(alarm.alarm_key.indexOf('/') + 1) : null)

function ofLink(link: Link, alarm: Alarm | null): Silent {
  const since = link.status === 'never' ? null : (link.last_heartbeat_at ?? link.since)
  return { key: link.node, what: 'node', name: link.node, centre: link.centre, status: link.status === 'never' ? 'never' : 'down', reason: link.reason, since, alarm }
}

function ofAlarm(alarm: Alarm): Silent {
  const what = alarm.event_type === 'link.down' ? 'node' : alarm.event_type === 'dev.feed' ? 'feed' : 'sensor'
  return { key: alarm.id, what, name: alarm.headline, centre: alarm.centre, status: 'down', reason: null, since: alarm.first_raised_at, alarm }
}

/** All that is silent, the longest silence first; what never reported comes last. A node stands once, with its alarm. */
export function silences(links: readonly Link[], upper: UpperLink | null, alarms: readonly Alarm[]): Silent[] {
  const standing = alarms.filter((alarm) => alarm.condition === 'active')
  const down = links.filter((link) => link.status !== 'up')
  const known = new Set(links.map((link) => link.node))
  const found = down.map((link) => ofLink(link, standing.find((alarm) => nodeOf(alarm) === link.node) ?? null))
  if (upper && upper.status !== 'up') found.push({ key: 'upper', what: 'upper', name: upper.node ?? '', centre: null, status: upper.status, reason: upper.reason, since: upper.status === 'never' ? null : upper.since, alarm: null })
  found.push(...standing.filter((alarm) => !known.has(nodeOf(alarm) ?? '')).map(ofAlarm))
  return found.sort((a, b) => Number(a.since === null) - Number(b.since === null) || Date.parse(a.since ?? '') - Date.parse(b.since ?? '') || a.key.localeCompare(b.key))
}
