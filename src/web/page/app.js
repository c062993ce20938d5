// The page: what the person does, and what becomes of it.

import {History} from '/history.js';
import {Turn, clearTalk, showObjects, showTimes} from '/panel.js';
import {Picture} from '/picture.js';
import {Lost, Server} from '/server.js';

const element = (id) => document.getElementById(id);
const server = new Server();
const picture = new Picture(element('canvas'));
const history = new History(recall);

/** The question that is being answered: its AbortController and its turn. */
let asking = null;
/** The file that is shown, and the id under which the server keeps it. */
let file = null, pictureId = null;
/** When the frame that was asked about is shown. */
let shown = Promise.resolve();
/** Whether the camera's pictures are shown as they come. */
let live = false;
/** How often that was begun: an older loop ends when it notices. */
let begun = 0;
let conversation = newConversation();

function newConversation() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function hint(text) {
  element('hint').textContent = text;
}

function select(index) {
  picture.selected = index < picture.objects.length ? index : -1;
  refresh();
}

function refresh() {
  picture.draw();
  showObjects(picture.objects, picture.selected, select);
}

function show(image, size) {
  element('canvas').hidden = false;
  element('empty').hidden = true;
  picture.show(image, size);
}

// The picture: by file, paste, drop, or from the camera.

async function open(blob) {
  const max = server.info?.limits.picture_bytes;
  if (max && blob.size > max) return hint(`The file has ${blob.size} bytes; accepted: up to ${max}.`);
  let image;
  try {
    image = await createImageBitmap(blob);
  } catch {
    return hint('This is no picture that the browser can read; accepted: PNG, JPEG, WebP, BMP.');
  }
  stopLive();
  stop();
  [file, pictureId] = [blob, null];
  startOver();
  picture.clear();
  show(image);
  showTimes(null);
  refresh();
  hint(`${blob.name ?? 'Picture'}, ${image.width} × ${image.height}`);
  element('instruction').focus();
}

/** Another picture is another conversation; what was said stays to be read. */
function startOver() {
  conversation = newConversation();
}

element('file').addEventListener('change', ({target}) => {
  if (target.files[0]) open(target.files[0]);
  target.value = '';
});
document.addEventListener('paste', (event) => {
  const pasted = [...event.clipboardData.files].find((file) => file.type.startsWith('image/'));
  if (!pasted) return;
  event.preventDefault();
  open(pasted);
});
const frame = element('frame');
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  frame.classList.add('over');
});
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) frame.classList.remove('over');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  frame.classList.remove('over');
  const [dropped] = event.dataTransfer.files;
  if (dropped) open(dropped);
});

async function runLive() {
  const own = ++begun;
  const goesOn = () => live && own === begun;
  while (goesOn()) {
    try {
      const image = await server.picture(camera() ? `/v1/cameras/${camera().replace(/^\//, '')}` : '/v1/camera');
      if (goesOn()) show(image);
    } catch (error) {
      if (goesOn()) hint(error.message);
      await new Promise((done) => setTimeout(done, 1000));
    }
    await new Promise((done) => setTimeout(done, document.hidden ? 1000 : 100));
  }
}

function startLive() {
  if (live) return;
  [live, file, pictureId] = [true, null, null];
  picture.clear();
  refresh();
  element('live').setAttribute('aria-pressed', 'true');
  runLive();
}

function stopLive() {
  live = false;
  element('live').setAttribute('aria-pressed', 'false');
}

element('live').addEventListener('click', () => (live ? stopLive() : startLive()));

/** The name of the camera that is chosen, where there are several. */
function camera() {
  return element('camera').value;
}

function listCameras(names) {
  const chosen = camera();
  element('camera').hidden = names.length === 0;
  element('camera').replaceChildren(...names.map((name) => new Option(name, name, name === chosen, name === chosen)));
}

element('camera').addEventListener('change', () => {
  stop();
  stopLive();
  startOver();
  startLive();
});

// The question.

async function ask() {
  const instruction = element('instruction').value.trim();
  if (asking || !instruction) return;
  if (!file && !pictureId && !server.info?.camera) return hint('First a picture: open, drop or paste one.');
  if (server.state === 'lost') return hint('The server cannot be reached; the question stays here.');
  const fromCamera = !file && !pictureId;
  stopLive();
  picture.clear();
  refresh();
  const turn = new Turn(instruction);
  asking = new AbortController();
  element('instruction').value = '';
  grow();
  busy(true);
  try {
    const answer = await askOnce(instruction, turn, fromCamera);
    // With a camera the next question is about what it shows then.
    pictureId = fromCamera ? null : answer.picture.id;
    turn.end({text: answer.answer, notes: noted(answer)});
    picture.attention = answer.attention;
    showTimes(answer.seconds);
    refresh();
    await shown;
    history.add({answer, thumbnail: picture.thumbnail()});
    hint('');
  } catch (error) {
    const stopped = error.name === 'AbortError';
    turn.end({fault: stopped ? 'Stopped.' : error.message});
    hint('');
    // What was not answered can be asked again.
    if (!stopped && !element('instruction').value) element('instruction').value = instruction;
  } finally {
    asking = null;
    busy(false);
  }
}

async function askOnce(instruction, turn, fromCamera) {
  const form = new FormData();
  form.set('instruction', instruction);
  form.set('conversation', conversation);
  form.set('attention', String(Boolean(server.info?.model?.guided_head)));
  if (pictureId) form.set('picture', pictureId);
  else if (file) form.set('image', file);
  else if (camera()) form.set('camera', camera());
  try {
    return await server.ask(form, asking.signal, (name, data) => {
      if (name === 'accepted' && fromCamera) shown = showAsked(data.picture);
      if (name === 'stage') hint(STAGES[data.stage] ?? data.stage);
      if (name === 'text') turn.write(data.text);
      if (name === 'object') {
        picture.add(data);
        refresh();
      }
    });
  } catch (error) {
    // The server keeps the last pictures only, and none over a restart.
    if (error.status !== 404 || !pictureId || !file) throw error;
    pictureId = null;
    return askOnce(instruction, turn, fromCamera);
  }
}

const STAGES = {
  queue: 'Waiting for its turn', load: 'Loading the model', preprocess: 'Looking at the picture', clip: 'Looking at the picture',
  prefill: 'Reading the question', generate: 'Writing', sam: 'Finding outlines', decode: 'Finding outlines',
  postprocess: 'Finding outlines',
};

/** The camera's frame that the question is about. */
async function showAsked({id, width, height}) {
  try {
    show(await server.picture(`/v1/pictures/${id}`), {width, height});
  } catch {
    // The frame that is shown already is nearly the same.
  }
}

function noted(answer) {
  const notes = [...answer.notes];
  if (answer.truncated) notes.push(`Ended after ${answer.tokens} tokens.`);
  if (answer.status === 'TEXT_ONLY') notes.push('No object was named.');
  if (answer.status === 'EMPTY_MASK') notes.push('An object was named, and its mask is empty.');
  return notes;
}

function stop() {
  asking?.abort();
}

function busy(is) {
  element('ask').hidden = is;
  element('stop').hidden = !is;
  if (is) element('stop').focus();
  else element('instruction').focus();
  showState();
}

element('ask-form').addEventListener('submit', (event) => {
  event.preventDefault();
  ask();
});
element('stop').addEventListener('click', stop);
element('new').addEventListener('click', () => {
  stop();
  // The server forgets a conversation that nobody goes on with by itself, so a failure is nothing to tell.
  server.forget(conversation).catch(() => {});
  conversation = newConversation();
  clearTalk();
  hint('A new conversation.');
});

// An earlier question.

async function recall({answer, thumbnail}) {
  stop();
  stopLive();
  picture.clear();
  const {id, width, height} = answer.picture;
  try {
    show(await server.picture(`/v1/pictures/${id}`), {width, height});
    [file, pictureId] = [null, id];
    hint(answer.instruction);
  } catch {
    // The thumbnail has the masks drawn on it; beneath larger ones they do not matter.
    const image = new Image();
    image.src = thumbnail;
    await image.decode();
    show(image, {width, height});
    [file, pictureId] = [null, null];
    hint('The server does not keep this picture any more; for another question open it again.');
  }
  startOver();
  picture.attention = answer.attention;
  answer.objects.forEach((object) => picture.add(object));
  showTimes(answer.seconds);
  refresh();
}

// What is drawn, and how it looks.

element('masks').addEventListener('change', ({target}) => {
  picture.masks = target.checked;
  picture.draw();
});
element('opacity').addEventListener('input', ({target}) => {
  picture.opacity = target.value / 100;
  picture.draw();
});
element('attention').addEventListener('change', ({target}) => {
  picture.heat = target.checked;
  picture.draw();
});
element('canvas').addEventListener('click', ({clientX, clientY}) => select(picture.objectAt(clientX, clientY)));
element('canvas').addEventListener('mousemove', ({clientX, clientY}) => {
  element('canvas').classList.toggle('hit', picture.objectAt(clientX, clientY) >= 0);
});

const THEMES = {auto: 'as the system', light: 'light', dark: 'dark'};
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  element('theme').textContent = theme[0].toUpperCase() + theme.slice(1);
  element('theme').setAttribute('aria-label', `Colours: ${THEMES[theme]}`);
  localStorage.setItem('lisa-theme', theme);
}
element('theme').addEventListener('click', () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length]);
});
setTheme(localStorage.getItem('lisa-theme') in THEMES ? localStorage.getItem('lisa-theme') : 'auto');

// The question grows with its lines.
function grow() {
  const box = element('instruction');
  box.style.height = 'auto';
  box.style.height = `${box.scrollHeight + 2}px`;
}
element('instruction').addEventListener('input', grow);

document.addEventListener('keydown', (event) => {
  if (element('token-dialog').open || event.isComposing) return;
  const writing = event.target === element('instruction');
  if (writing && event.key === 'Enter' && !event.shiftKey) {
    event.preventDefault();
    ask();
  } else if (event.key === 'Escape') {
    if (asking) stop();
    else select(-1);
  } else if (!writing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const press = {'/': () => element('instruction').focus(), o: () => element('file').click(), m: () => element('masks').click(),
      a: () => element('attention').click()}[event.key] ?? (/^[1-9]$/.test(event.key) ? () => select(event.key - 1) : null);
    if (!press) return;
    event.preventDefault();
    press();
  }
});

// The server.

function showState() {
  const texts = {connecting: 'connecting', ready: 'ready', loading: 'no model loaded', token: 'needs a token', lost: 'not reachable'};
  const state = server.state === 'ready' && asking ? 'busy' : server.state;
  element('link').dataset.state = state;
  element('link').textContent = state === 'busy' ? 'answering' : texts[state];
  element('lost').hidden = server.state !== 'lost';
  element('lost').textContent = server.state === 'lost' ? 'The server cannot be reached. Trying again.' : '';
}

server.addEventListener('state', () => {
  showState();
  const {info, state} = server;
  if (state === 'token' && !element('token-dialog').open) element('token-dialog').showModal();
  if (state !== 'ready') return;
  element('token-dialog').close();
  const {name, device, dtype} = info.model;
  element('model').textContent = `${name} on ${device}, ${dtype}`;
  element('attention-label').hidden = !info.model.guided_head;
  element('live').hidden = !info.camera;
  listCameras(info.cameras);
  const bytes = info.limits.picture_bytes / 2 ** 20;
  element('empty-limits').textContent = `PNG, JPEG, WebP or BMP, up to ${Math.floor(bytes)} MiB`;
  element('instruction').maxLength = info.limits.instruction_bytes;
  if (info.camera && !file && !pictureId && !asking) startLive();
});

element('token-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  server.token = element('token').value;
  await server.look();
  element('token-wrong').hidden = server.state !== 'token';
});

showState();
server.watch();
