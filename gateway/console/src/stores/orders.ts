import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api } from '@/api/client'
import type { Order, OrderHead, OrderSetup } from '@/api/types'
import { selection } from '@/lib/selection'
import { joined } from '@/lib/throttle'
import { toast } from '@/ui/toast'

/** Orders live on the gateway, the overdue first; this is what the page shows of them. */
export const useOrders = defineStore('orders', () => {
  const items = shallowRef<OrderHead[]>([])
  const one = selection<Order>(api.order)
  const setup = shallowRef<OrderSetup | null>(null)
  const loaded = ref(false)

  async function load(): Promise<void> {
    const [list, made] = await Promise.all([api.orders(), setup.value ?? api.orderSetup()])
    items.value = list.items
    setup.value = made
    loaded.value = true
    await one.again()
  }

  const reload = joined(load, 300)

  function changed(): void {
    if (loaded.value) reload()
  }

  /** Orders from above that nobody here has signed for. */
  const waiting = computed(() =>
    items.value.filter((order) => !order.own && !order.revoked_at && ['sent', 'delivered', 'overdue'].some((state) => order.counts[state])).length)

  /** The gateway calls this console to an order: said in words beside the sound. */
  function called(data: unknown): void {
    const call = data as { order?: string; text?: string }
    if (call.order && call.text) toast(call.text, 'error')
  }

  function took(order: Order): void {
    one.took(order)
    reload()
  }

  return { items, current: one.current, setup, loaded, waiting, load, changed, called, show: one.show, took }
})
