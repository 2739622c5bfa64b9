import '@/lib/polyfill'
import 'element-plus/theme-chalk/base.css'
import 'element-plus/theme-chalk/dark/css-vars.css'
import '@/ui/theme.css'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { setApiLanguage, whenSignedOut } from '@/api/client'
import { i18n, keepLocale, savedLocale } from '@/i18n'
import { router } from '@/router'
import { useSession } from '@/stores/session'
import App from './App.vue'

document.documentElement.classList.add('dark')
keepLocale(savedLocale())
setApiLanguage(savedLocale())
const app = createApp(App).use(createPinia()).use(i18n).use(router)
whenSignedOut(() => {
  useSession().forget()
  if (router.currentRoute.value.name !== 'login') void router.push({ name: 'login', query: { to: router.currentRoute.value.fullPath } })
})
app.mount('#app')
