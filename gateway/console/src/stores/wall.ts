import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import { place, resize, target, type Layout } from '@/lib/layout'
import { useLive } from './live'

const KEY = 'silian.wall'

interface Saved {
  layout: Layout
  panes: (string | null)[]
}

function saved(): Saved | null {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? 'null') as Saved | null
  } catch {
    return null
  }
}

/** Which stream stands in which pane of the video wall; kept for this browser. */
export const useWall = defineStore('wall', () => {
  const start = saved()
  const layout = ref<Layout>(start?.layout ?? 9)
  const panes = ref<(string | null)[]>(resize(start?.panes ?? [], layout.value))
  const chosen = ref<number | null>(null)
  const spotlight = ref<number | null>(null)
  const touched = ref(start !== null)

  const empty = computed(() => panes.value.every((pane) => pane === null))

  watch([layout, panes], () => {
    if (touched.value) localStorage.setItem(KEY, JSON.stringify({ layout: layout.value, panes: panes.value }))
  }, { deep: true })

  function setLayout(next: Layout): void {
    touched.value = true
    layout.value = next
    panes.value = resize(panes.value, next)
    spotlight.value = null
    chosen.value = null
  }

  function put(at: number, stream: string | null): void {
    touched.value = true
    panes.value = place(panes.value, at, stream)
  }

  /** Show a stream in the chosen pane, else where there is room; returns the pane. */
  function watchStream(stream: string): number {
    const at = target(panes.value, stream, chosen.value)
    if (panes.value[at] !== stream) put(at, stream)
    chosen.value = at
    return at
  }

  /** Fill the wall with one picture per centre. */
  function fill(): void {
    const streams = useLive().ordered.map((camera) => camera.id)
    panes.value = Array.from({ length: layout.value }, (_, at) => streams[at] ?? null)
  }

  function toggleSpotlight(at: number): void {
    spotlight.value = spotlight.value === at ? null : at
  }

  return { layout, panes, chosen, spotlight, touched, empty, setLayout, put, watchStream, fill, toggleSpotlight }
})
