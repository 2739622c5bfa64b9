import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Camera, Centre, Link, OwnCentre, Publisher, UpperLink } from '@/api/types'
import { EventStream, type EventName, type Wire } from '@/lib/events'
import type { FloorEvent, SlotEvent } from '@/lib/wallSession'
import { joined } from '@/lib/throttle'
import { buildTree, wallOrder } from '@/lib/tree'
import { useAlarms } from './alarms'
import { useCalls } from './calls'
import { useReports } from '@/stores/reports'
import { useOrders } from './orders'
import { usePress } from './press'
import { useRollCalls } from './rollcalls'
import { useSession } from './session'
import { useWarnings } from './warnings'
import type { MediaRestart } from '@/lib/mediaRestart'

const SKEW_MS = 2000

/** The live state of the own subtree: who is there, how the links are, which cameras there are; and of the wire to it. */
export const useLive = defineStore('live', () => {
  const own = ref<OwnCentre | null>(null)
  const centres = shallowRef<Centre[]>([])
  const links = shallowRef<Link[]>([])
  const upper = ref<UpperLink | null>(null)
  const cameras = shallowRef<Camera[]>([])
  const publishers = shallowRef<Publisher[]>([])
  const ready = ref(false)
  const wire = ref<Wire>({ state: 'connecting' })
  const loadFailed = ref(false)
  const skewMs = ref(0)
  const version = ref<string | null>(null)
  const newVersion = ref(false)
  const mediaRestart = shallowRef<MediaRestart>({ sessions: [], at: 0 })
  const slotListeners = new Set<(event: SlotEvent) => void>()
  const floorListeners = new Set<(event: FloorEvent) => void>()
  let events: EventStream | null = null

  const tree = computed(() => buildTree(centres.value, links.value, cameras.value, own.value?.code ?? ''))
  const ordered = computed(() => wallOrder(centres.value, cameras.value))
  const byCode = computed(() => new Map([...(own.value?.above ?? []), ...centres.value].map((centre) => [centre.code, centre])))
  const cameraById = computed(() => new Map(cameras.value.map((camera) => [camera.id, camera])))

  const publisherById = computed(() => new Map(publishers.value.map((one) => [one.id, one])))

  async function loadOwn(): Promise<void> {
    const asked = Date.now()
    const found = await api.centre()
    const middle = (asked + Date.now()) / 2
    skewMs.value = middle - new Date(found.time).getTime()
    if (version.value !== null && version.value !== found.version) newVersion.value = true
    version.value ??= found.version
    own.value = found
  }

  async function loadLinks(): Promise<void> {
    const list = await api.links()
    links.value = list.items
    upper.value = list.upper
  }

  async function loadCameras(): Promise<void> {
    ;[cameras.value, publishers.value] = await Promise.all([api.cameras(), api.publishers()])
  }

  async function loadAll(): Promise<void> {
    try {
      const loadCentres = async (): Promise<void> => {
        centres.value = await api.centres()
      }
      await Promise.all([loadOwn(), loadCentres(), loadLinks(), loadCameras()])
      ready.value = true
      loadFailed.value = false
    } catch {
      loadFailed.value = true
    }
    await Promise.allSettled([useAlarms().load(), useCalls().load(), useRollCalls().load(), useOrders().load()])
  }

  const reloadLinks = joined(loadLinks, 400)
  const reloadCameras = joined(loadCameras, 400)
  const reloadAll = joined(loadAll, 200)

  function upsertLink(data: unknown): void {
    const link = data as Partial<Link> | null
    const known = link?.node ? links.value.findIndex((item) => item.node === link.node) : -1
    if (known < 0 || !link?.status) reloadLinks()
    else links.value = links.value.map((item, at) => (at === known ? { ...item, ...link } : item))
  }

  function upsertCamera(data: unknown): void {
    const camera = data as Partial<Camera> | null
    const known = camera?.id ? cameras.value.findIndex((item) => item.id === camera.id) : -1
    if (known < 0 || !camera || !('picture' in camera)) reloadCameras()
    else cameras.value = cameras.value.map((item, at) => (at === known ? { ...item, ...camera } : item))
  }

  const handlers: Partial<Record<EventName, (data: unknown) => void>> = {
    'link.changed': upsertLink,
    'camera.changed': upsertCamera,
    'catalogue.changed': () => reloadCameras(),
    'alarm.changed': (data) => useAlarms().changed(data),
    'report.changed': (data) => useReports().changed(data),
    'warning.changed': () => useWarnings().changed(),
    'order.changed': () => useOrders().changed(),
    'escalation.changed': () => useAlarms().chainMoved(),
    'escalation.call': (data) => {
      useAlarms().called(data)
      useOrders().called(data)
    },
    'rollcall.changed': (data) => {
      useRollCalls().changed(data)
      usePress().reload()
    },
    'inspection.changed': () => void useRollCalls().inspected(),
    'offer.changed': () => (useRollCalls().offersRevision += 1),
    'call.changed': (data) => useCalls().changed(data),
    'wall.slot': (data) => slotListeners.forEach((listen) => listen(data as SlotEvent)),
    'floor.changed': (data) => floorListeners.forEach((listen) => listen(data as FloorEvent)),
    'media.restart': (data) => {
      const sessions = (data as { sessions?: string[] } | null)?.sessions ?? []
      mediaRestart.value = { sessions, at: Date.now() }
    },
    resync: () => reloadAll(),
  }

  function start(): void {
    if (events) return
    events = new EventStream('/api/v1/events', {
      wire: (state) => (wire.value = state),
      open: () => reloadAll(),
      event: (name, data) => handlers[name]?.(data),
      lost: () => void stillKnown(),
    })
    events.open()
    window.addEventListener('online', online)
    beat = window.setInterval(() => reloadLinks(), 15000)
  }

  let beat = 0
  const online = (): void => events?.retryNow()

  /** A refused stream may mean that the session has ended; only then the operator is asked to sign in again. */
  async function stillKnown(): Promise<void> {
    await useSession().restore().catch(() => undefined)
  }

  function stop(): void {
    events?.close()
    events = null
    window.removeEventListener('online', online)
    window.clearInterval(beat)
    ready.value = false
    centres.value = []
    links.value = []
    cameras.value = []
  }

  const skewed = computed(() => Math.abs(skewMs.value) > SKEW_MS)

  return {
    own, centres, links, upper, cameras, ready, wire, loadFailed, skewMs, skewed, newVersion, mediaRestart, tree, ordered,
    byCode, cameraById, publisherById, slotListeners, floorListeners, start, stop, reloadAll, retryNow: online,
  }
})
