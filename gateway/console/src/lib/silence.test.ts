import { expect, it } from 'vitest'
import type { Alarm, Link, UpperLink } from '@/api/types'
import { silences } from './silence'

const link = (node: string, status: Link['status'], heard: string | null = null): Link =>
  ({ node, centre: node.slice(0, 6), tier: 'county', kind: 'agent', direct: true, status, reason: null, since: heard, last_heartbeat_at: heard, rtt_ms: null, version: '', box: null, reported_by: null })
const alarm = (id: string, event_type: string, alarm_key: string, raised: string, condition = 'active'): Alarm =>
  ({ id, event_type, alarm_key, condition, headline: id, centre: '320623', first_raised_at: raised }) as Alarm
const upper: UpperLink = { node: '320000', status: 'down', reason: 'timeout', since: '2026-11-29T03:00:00Z', rtt_ms: null, waiting: 0 }

it('is empty where all report', () => expect(silences([link('320623-box', 'up')], { ...upper, status: 'up' }, [])).toEqual([]))

it('puts the longest silence first and what never reported last', () => {
  const found = silences(
    [link('320681-box', 'never'), link('320623-box', 'down', '2026-11-29T02:00:00Z')], upper,
    [alarm('gauge', 'dev.silent', 'g/silent', '2026-11-29T01:00:00Z'), alarm('feed', 'dev.feed', 'feed/cma/still', '2026-11-29T04:00:00Z')],
  )
  expect(found.map((one) => `${one.what} ${one.key}`)).toEqual(['sensor gauge', 'node 320623-box', 'upper upper', 'feed feed', 'node 320681-box'])
})

it('names a node once, with its alarm, and one that has come back not at all', () => {
  const down = alarm('a', 'link.down', 'link.down/320623-box', '2026-11-29T02:00:30Z')
  const [one, ...others] = silences([link('320623-box', 'down', '2026-11-29T02:00:00Z')], null, [down])
  expect([one?.alarm?.id, one?.since, others.length]).toEqual(['a', '2026-11-29T02:00:00Z', 0])
  expect(silences([link('320623-box', 'up')], null, [down])).toEqual([])
})

it('keeps a failed link that only another gateway knows, and leaves out what is over', () => {
  const far = alarm('far', 'link.down', 'link.down/320682-box', '2026-11-29T02:00:00Z')
  expect(silences([], null, [far, alarm('over', 'dev.silent', 'g/silent', '2026-11-29T01:00:00Z', 'cleared')]).map((one) => one.key)).toEqual(['far'])
})
