import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import { api, ApiError } from '@/api/client'
import type { Role, User } from '@/api/types'

/** Roles that call: roll calls and dispatch calls. */
export const SPEAKERS: Role[] = ['caller', 'dispatcher', 'duty_officer']

/** Roles that conduct a roll call: name, judge, pause. */
export const CONDUCTORS: Role[] = ['caller', 'duty_officer']

/** Roles that keep the schedules of roll calls. */
export const KEEPERS: Role[] = ['caller']

/** Roles that may see live pictures. */
export const WATCHERS: Role[] = [...SPEAKERS, 'operations']
const KEY = 'silian.signed_in'

/** Who sits at this screen. `checked` turns true once the gateway was asked. */
export const useSession = defineStore('session', () => {
  const user = ref<User | null>(null)
  const checked = ref(false)
  // The cookie cannot be read here; this mark spares a stranger's screen the question that would only be refused.
  watch(user, (now) => (now ? localStorage.setItem(KEY, '1') : localStorage.removeItem(KEY)))

  const mustChange = computed(() => user.value?.must_change_password === true)

  function may(...roles: Role[]): boolean {
    return roles.some((role) => user.value?.roles.includes(role))
  }

  async function restore(): Promise<void> {
    if (!localStorage.getItem(KEY)) {
      checked.value = true
      return
    }
    try {
      user.value = await api.session()
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error
      forget()
    } finally {
      checked.value = true
    }
  }

  async function signIn(name: string, password: string): Promise<void> {
    user.value = (await api.signIn(name, password)).user
    checked.value = true
  }

  async function signOut(): Promise<void> {
    await api.signOut().catch(() => undefined)
    user.value = null
  }

  function forget(): void {
    user.value = null
    localStorage.removeItem(KEY)
  }

  async function changePassword(old: string, fresh: string): Promise<void> {
    user.value = await api.changePassword(old, fresh)
  }

  return { user, checked, mustChange, may, restore, signIn, signOut, forget, changePassword }
})
