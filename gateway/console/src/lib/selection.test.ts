import { expect, test } from 'vitest'
import { selection } from './selection'

interface One {
  id: string
  text: string
}

/** Questions that are answered by hand, in any order. */
function asked() {
  const open: { id: string; answer: (text: string) => void; refuse: () => void }[] = []
  const read = (id: string): Promise<One> =>
    new Promise((done, fail) => open.push({ id, answer: (text) => done({ id, text }), refuse: () => fail(new Error('refused')) }))
  return { open, one: selection(read) }
}

test('a slow answer does not put back what was left', async () => {
  const { open, one } = asked()
  const first = one.show('a')
  const second = one.show('b')
  open[1]?.answer('newer')
  open[0]?.answer('older')
  await Promise.all([first, second])
  expect(one.current.value).toEqual({ id: 'b', text: 'newer' })
})

test('reading again while another is being chosen reads the other', async () => {
  const { open, one } = asked()
  one.took({ id: 'a', text: 'there' })
  const choice = one.show('b')
  const again = one.again()
  expect(open.map((question) => question.id)).toEqual(['b', 'b'])
  for (const question of open) question.answer('new')
  await Promise.all([choice, again])
  expect(one.current.value?.id).toBe('b')
})

test('what cannot be read leaves the choice as it was', async () => {
  const { open, one } = asked()
  one.took({ id: 'a', text: 'there' })
  const choice = one.show('gone')
  open[0]?.refuse()
  await expect(choice).rejects.toThrow('refused')
  expect(one.current.value?.id).toBe('a')
  void one.again()
  expect(open[1]?.id).toBe('a')
})
