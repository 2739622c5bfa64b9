// The answer page: asks the box what rings, shows the newest open turn, sends what people enter. Plain, for old kiosks.
'use strict'

const $ = (id) => document.getElementById(id)
const STILL_MS = 3000
const RETRY_MS = 1500
let language = localStorage.getItem('silian.answer.language') || 'zh-CN'
let state = null
let skew = 0
let shown = null // id of the turn whose form stands on the page
let stillAt = 0
let stillUrl = ''

const words = () => window.WORDS[language]
const say = (key, values = {}) => Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), words()[key] ?? key)
const clock = (at) => new Date(at).toLocaleTimeString('zh-CN', { hour12: false })
const age = (ms) => {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  return seconds < 60 ? say('second', { n: seconds }) : say('minute', { m: Math.floor(seconds / 60), n: seconds % 60 })
}
const show = (id, on) => { $(id).hidden = !on }
const text = (id, value) => { if ($(id).textContent !== value) $(id).textContent = value }

async function ask(method, path, body) {
  const options = { method, credentials: 'same-origin', headers: { accept: 'application/json' } }
  if (body) {
    options.headers['content-type'] = 'application/json'
    options.body = JSON.stringify(body)
  }
  const answer = await fetch(path, options)
  const told = await answer.json().catch(() => ({}))
  if (!answer.ok) throw Object.assign(new Error(told.detail || String(answer.status)), { status: answer.status })
  return told
}

function translate() {
  document.documentElement.lang = language
  document.title = say('title')
  document.querySelectorAll('[data-word]').forEach((one) => { one.textContent = say(one.dataset.word) })
  document.querySelectorAll('[data-label]').forEach((one) => one.setAttribute('aria-label', say(one.dataset.label)))
  text('language', say('other'))
}

const callerOf = (turn) => [turn.caller_centre_name || turn.caller_centre, turn.caller].filter(Boolean).join(' · ') || say('unknown')

function kindOf(turn) {
  const kind = words().kind[turn.roll_call_kind]
  return say(turn.kind) + (kind ? `（${kind}）` : '')
}

function voiceOf(turn) {
  if (state.talk) return say('heard')
  if (turn.stage === 'on_stage') return say(turn.muted ? 'stage_muted' : 'stage_heard')
  return turn.stage === 'answered' && turn.kind === 'roll_call' ? say('stage_muted') : ''
}

function buttons(box, input, people) {
  $(box).replaceChildren(...people.map((person) => {
    const one = document.createElement('button')
    one.type = 'button'
    one.textContent = person.name
    one.title = words().role[person.role] ?? ''
    one.onclick = () => { $(input).value = person.name; press(box, input) }
    return one
  }))
  press(box, input)
}

function press(box, input) {
  for (const one of $(box).children) one.setAttribute('aria-pressed', String(one.textContent === $(input).value))
}

/** Fill the form once per turn: from what was said, else from the roster; later states leave the person's typing alone. */
function fill(turn) {
  if (shown === turn.id) return
  shown = turn.id
  const said = turn.by_person ? turn.details : null
  const leaders = turn.roster.filter((one) => one.role === 'leader')
  const officers = turn.roster.filter((one) => one.role !== 'leader' && one.role !== 'oncall')
  $('answered_by').value = said?.answered_by ?? localStorage.getItem('silian.answer.who') ?? officers[0]?.name ?? ''
  if (!said && officers.length && !officers.some((one) => one.name === $('answered_by').value)) $('answered_by').value = officers[0].name
  $('leader').value = said?.leader ?? leaders[0]?.name ?? ''
  $('people').value = said?.people ?? (turn.roster.length ? leaders.length + officers.length : '')
  $('note').value = said?.note ?? ''
  text('fault', '')
  text('saved', '')
  buttons('names', 'answered_by', officers)
  buttons('leaders', 'leader', leaders)
}

function paintTurn(turn) {
  fill(turn)
  const ringing = turn.stage === 'ringing'
  document.body.dataset.stage = turn.stage
  text('stage', `${kindOf(turn)} · ${say(turn.stage)}`)
  show('drill', turn.drill)
  text('caller', say('from', { who: callerOf(turn) }))
  const parts = [say('since', { time: clock(turn.rung_at), age: age(Date.now() - skew - new Date(turn.rung_at)) })]
  if (turn.attempts > 1) parts.push(say('again', { n: turn.attempts }))
  if (!ringing && !turn.by_person) parts.push(say('by_box'))
  text('since', parts.join(' · '))
  show('challenge_box', Boolean(turn.challenge))
  text('challenge', (turn.challenge ?? '').split('').join(' '))
  text('voice', voiceOf(turn))
  const roll = turn.kind === 'roll_call'
  for (const id of ['leader_box', 'people_box', 'note_box']) show(id, roll)
  text('people_legend', turn.people_due ? say('people_due', { n: turn.people_due }) : say('people'))
  text('answer', say(ringing ? 'answer' : 'save'))
  show('answer', ringing || roll)
  show('decline', ringing && !roll)
  show('end', !ringing)
  void still(turn)
}

async function still(turn) {
  const now = Date.now()
  if (now - stillAt < STILL_MS || document.hidden) return
  stillAt = now
  try {
    const answer = await fetch(`/still/${turn.camera}`, { credentials: 'same-origin' })
    if (!answer.ok) throw new Error(String(answer.status))
    const fresh = URL.createObjectURL(await answer.blob())
    URL.revokeObjectURL(stillUrl)
    stillUrl = fresh
    $('still').src = fresh
    show('still', true)
    text('still_note', `${say('still')} · ${clock(Date.now() - skew)}`)
  } catch {
    show('still', false)
    text('still_note', say('still_none'))
  }
}

function paintPast(turns) {
  show('past_box', turns.length > 0)
  $('past').replaceChildren(...turns.slice(0, 8).map((turn) => {
    const row = document.createElement('li')
    row.dataset.stage = turn.stage
    const cells = [clock(turn.rung_at), kindOf(turn), callerOf(turn), words().ending[turn.ending] ?? say(turn.stage), turn.details?.answered_by ?? '']
    row.append(...cells.map((cell) => Object.assign(document.createElement('span'), { textContent: cell })))
    return row
  }))
}

function paint() {
  if (!state) return
  const open = state.turns.filter((turn) => turn.open)
  // A call that rings beside a roll call comes first: it wants an answer.
  const turn = open.find((one) => one.stage === 'ringing') ?? open.find((one) => one.kind === 'roll_call') ?? open[0]
  show('door', false)
  show('idle', !turn)
  show('turn', Boolean(turn))
  text('centre', state.node)
  text('link', say(state.link ? 'linked' : 'unlinked'))
  $('link').dataset.up = state.link
  text('quiet_hint', say(state.asks ? 'quiet_asks' : 'quiet_auto'))
  show('trouble', Boolean(state.speaker))
  text('trouble', state.speaker ? say('speaker_lost') : '')
  if (turn) paintTurn(turn)
  else {
    shown = null
    document.body.dataset.stage = 'idle'
  }
  paintPast(state.turns.filter((one) => !one.open))
}

function lost(said) {
  show('trouble', true)
  text('trouble', said)
}

function askPin() {
  state = null
  document.body.dataset.stage = 'door'
  for (const id of ['idle', 'turn', 'past_box', 'trouble']) show(id, false)
  show('door', true)
  $('pin').focus()
}

async function follow() {
  for (;;) {
    try {
      const after = state ? `?after=${state.version}` : ''
      state = await ask('GET', `/state${after}`)
      skew = Date.now() - new Date(state.now)
      paint()
    } catch (error) {
      if (error.status === 401) {
        askPin()
        return
      }
      lost(say('lost'))
      state = null
      await new Promise((done) => setTimeout(done, RETRY_MS))
    }
  }
}

async function act(step, body = {}) {
  text('fault', '')
  try {
    await ask('POST', `/turns/${shown}/${step}`, body)
    return true
  } catch (error) {
    if (error.status === 401) askPin()
    text('fault', error.status ? error.message : say('network'))
    return false
  }
}

$('form').onsubmit = async (event) => {
  event.preventDefault()
  const who = $('answered_by').value.trim()
  if (!who) {
    text('fault', say('need_who'))
    $('answered_by').focus()
    return
  }
  localStorage.setItem('silian.answer.who', who)
  const people = $('people').value === '' ? null : Number($('people').value)
  const sent = await act('answer', { answered_by: who, leader: $('leader').value.trim(), people, note: $('note').value.trim() })
  if (sent) text('saved', say('saved', { time: clock(Date.now() - skew) }))
}
$('decline').onclick = () => act('decline')
$('end').onclick = () => act('end')
$('fewer').onclick = () => { $('people').value = Math.max(0, Number($('people').value) - 1) }
$('more').onclick = () => { $('people').value = Math.min(99, Number($('people').value) + 1) }
$('answered_by').oninput = () => press('names', 'answered_by')
$('leader').oninput = () => press('leaders', 'leader')
$('language').onclick = () => {
  language = language === 'en' ? 'zh-CN' : 'en'
  localStorage.setItem('silian.answer.language', language)
  text('saved', '')
  stillAt = 0 // its caption is in the other language
  translate()
  paint()
}
$('door').onsubmit = async (event) => {
  event.preventDefault()
  try {
    await ask('POST', '/session', { pin: $('pin').value })
    $('pin').value = ''
    text('pin_fault', '')
    void follow()
  } catch (error) {
    text('pin_fault', error.status ? error.message : say('network'))
  }
}

setInterval(() => {
  text('clock', clock(Date.now() - skew))
  if (state) paint()
}, 1000)
translate()
void follow()
