import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// Chrome 90 is the oldest kernel met in the field's domestic browsers; Vite's own default target is newer.
export default defineConfig({
  plugins: [vue()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  define: { __VUE_I18N_FULL_INSTALL__: true, __VUE_I18N_LEGACY_API__: false, __INTLIFY_PROD_DEVTOOLS__: false },
  build: { outDir: 'static', emptyOutDir: true, target: 'chrome90', chunkSizeWarningLimit: 900 },
  server: { proxy: Object.fromEntries(['/api', '/whip', '/whep', '/wall'].map((path) => [path, process.env.SILIAN_GATEWAY ?? 'http://127.0.0.1:8080'])) },
})
