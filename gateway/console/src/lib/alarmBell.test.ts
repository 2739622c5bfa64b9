import { describe, expect, it } from 'vitest'
import type { Alarm } from '@/api/types'
import { reminding } from './alarmBell'

const taken: Alarm['acknowledged'] = { by: '王', at: '2026-01-01T00:00:00Z', centre: '320600', note: '' }

function alarm(severity: 1 | 2 | 3 | 4, more: Partial<Alarm> = {}): Pick<Alarm, 'severity' | 'condition' | 'acknowledged' | 'visibility'> {
  return { severity, condition: 'active', acknowledged: null, visibility: 'shown', ...more }
}

describe('the bell', () => {
  it('sounds for the gravest red or orange alarm that nobody has acknowledged', () => {
    expect(reminding([alarm(3), alarm(2), alarm(1)])).toBe(1)
    expect(reminding([alarm(1, { acknowledged: taken }), alarm(2)])).toBe(2)
  })

  it('is silent for mild ones, for what is over, hidden or in somebody’s hands', () => {
    expect(reminding([alarm(3), alarm(4)])).toBeNull()
    expect(reminding([alarm(1, { acknowledged: taken }), alarm(1, { condition: 'cleared' }), alarm(2, { visibility: 'shelved' })])).toBeNull()
    expect(reminding([])).toBeNull()
  })
})
