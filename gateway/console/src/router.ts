import { createRouter, createWebHistory } from 'vue-router'
import { i18n } from '@/i18n'
import { useSession } from '@/stores/session'

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/login', name: 'login', component: () => import('@/pages/LoginPage.vue'), meta: { open: true } },
    { path: '/', name: 'overview', component: () => import('@/pages/OverviewPage.vue') },
    // Not /wall: that address belongs to wall sessions of the gateway itself.
    { path: '/video-wall', name: 'wall', component: () => import('@/pages/WallPage.vue') },
    { path: '/alarms', name: 'alarms', component: () => import('@/pages/AlarmsPage.vue') },
    { path: '/alarms/chain', name: 'chain', component: () => import('@/pages/ChainPage.vue') },
    { path: '/warnings', name: 'warnings', component: () => import('@/pages/WarningsPage.vue') },
    { path: '/orders', name: 'orders', component: () => import('@/pages/OrdersPage.vue') },
    { path: '/reports', name: 'reports', component: () => import('@/pages/ReportsPage.vue') },
    { path: '/roll-call', name: 'rollcall', component: () => import('@/pages/RollCallPage.vue') },
    { path: '/roll-call/review/:id?', name: 'rollcall_review', component: () => import('@/pages/RollCallReviewPage.vue') },
    { path: '/roll-call/monthly', name: 'rollcall_monthly', component: () => import('@/pages/RollCallMonthPage.vue') },
    { path: '/roll-call/bulletins', name: 'bulletins', component: () => import('@/pages/BulletinsPage.vue') },
    { path: '/dispatch', name: 'dispatch', component: () => import('@/pages/DispatchPage.vue') },
    { path: '/duty', name: 'duty', component: () => import('@/pages/DutyPage.vue') },
    { path: '/recordings', name: 'recordings', component: () => import('@/pages/RecordingsPage.vue') },
    { path: '/links', name: 'links', component: () => import('@/pages/LinksPage.vue') },
    { path: '/system', name: 'system', component: () => import('@/pages/SystemPage.vue') },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
})

router.beforeEach(async (to) => {
  const session = useSession()
  if (!session.checked) await session.restore().catch(() => undefined)
  const inside = session.user !== null && !session.mustChange
  if (!to.meta.open && !inside) return { name: 'login', query: { to: to.fullPath } }
  if (to.name === 'login' && inside) return { path: typeof to.query.to === 'string' ? to.query.to : '/' }
  return true
})

router.afterEach((to) => {
  const { t } = i18n.global
  document.title = to.name === 'login' ? `${t('login.title')} · ${t('app.name')}` : `${t(`nav.${String(to.name)}`)} · ${t('app.name')}`
})
