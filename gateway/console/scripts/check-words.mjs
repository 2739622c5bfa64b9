// Holds the two catalogues to each other and to the code: no key missing, none unused, no Chinese outside the catalogue.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('../src', import.meta.url))
const read = (name) => JSON.parse(readFileSync(join(source, 'i18n', name), 'utf8'))
const flat = (tree, path = '') =>
  Object.entries(tree).flatMap(([key, value]) => (typeof value === 'string' ? [[path + key, value]] : flat(value, `${path}${key}.`)))
const zh = new Map(flat(read('zh-CN.json')))
const en = new Map(flat(read('en.json')))
const faults = []

for (const key of zh.keys()) if (!en.has(key)) faults.push(`en.json lacks ${key}`)
for (const key of en.keys()) if (!zh.has(key)) faults.push(`zh-CN.json lacks ${key}`)
for (const [key, text] of [...zh, ...en]) if (!text.trim()) faults.push(`${key} is empty`)
const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort().join()
for (const [key, text] of zh) if (en.has(key) && holes(text) !== holes(en.get(key))) faults.push(`${key}: placeholders differ`)

const used = new Set()
const groups = new Set()
const files = readdirSync(source, { recursive: true }).filter((name) => /\.(vue|ts)$/.test(name) && !name.endsWith('.test.ts'))
for (const name of files) {
  const text = readFileSync(join(source, name), 'utf8')
  for (const match of text.matchAll(/\bte?\(\s*'([\w.]+)'/g)) used.add(match[1])
  for (const match of text.matchAll(/\bte?\(\s*`([\w.]+)\.(\$\{)/g)) groups.add(match[1])
  for (const match of text.matchAll(/\bte?\(\s*`([\w.]+_)\$\{/g)) groups.add(match[1])
  for (const match of text.matchAll(/\bword\(\s*'([\w.]+)'/g)) groups.add(match[1])
  for (const match of text.matchAll(/\?\s*t?\(?'([a-z]\w*\.[\w.]+)'|:\s*t\('([\w.]+)'/g)) used.add(match[1] ?? match[2])
  const bare = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|<!--[\s\S]*?-->/g, '')
  const allowed = name === join('lib', 'time.ts') ? bare.replace(/[年月日]/g, '') : bare
  const chinese = allowed.match(/[\u4e00-\u9fff]+/)
  if (chinese) faults.push(`${relative(source, join(source, name))}: ${chinese[0]} belongs into the catalogue`)
}
for (const key of used) if (key.includes('.') && !zh.has(key)) faults.push(`missing key ${key}`)
for (const group of groups) if (![...zh.keys()].some((key) => key.startsWith(group.endsWith('_') ? group : `${group}.`))) faults.push(`empty group ${group}`)
const inGroup = (key) => [...groups].some((group) => (group.endsWith('_') ? key.startsWith(group) : key.slice(0, key.lastIndexOf('.')) === group || key.startsWith(`${group}.`)))
for (const key of zh.keys()) if (!used.has(key) && !inGroup(key)) faults.push(`unused key ${key}`)

if (faults.length) {
  console.error(faults.join('\n'))
  process.exit(1)
}
console.log(`words: ${zh.size} keys in two languages, none missing, none unused`)
