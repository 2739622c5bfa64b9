import { shallowRef, type ShallowRef } from 'vue'

export interface Selection<T> {
  current: ShallowRef<T | null>
  /** Choose one and read it; rejects where it cannot be read, and what was chosen before stays. */
  show: (id: string) => Promise<void>
  /** Read again what is chosen now, if anything is. */
  again: () => Promise<void>
  /** Choose what was just read or changed. */
  took: (one: T) => void
}

/**
 * One of a list that is open beside it. An answer counts only while its question is still the newest choice: a slow
 * one would otherwise put back on the screen what was left, under the hand of who acts on it.
 */
export function selection<T extends { id: string }>(read: (id: string) => Promise<T>): Selection<T> {
  const current: ShallowRef<T | null> = shallowRef(null)
  let wanted: string | null = null

  async function show(id: string): Promise<void> {
    wanted = id
    try {
      const one = await read(id)
      if (wanted === id) current.value = one
    } catch (error) {
      if (wanted === id) wanted = current.value?.id ?? null
      throw error
    }
  }

  async function again(): Promise<void> {
    if (wanted !== null) await show(wanted)
  }

  function took(one: T): void {
    wanted = one.id
    current.value = one
  }

  return { current, show, again, took }
}
