// What stands beside the picture: the conversation, the objects, the times.

import {colour} from '/picture.js';

const element = (id) => document.getElementById(id);

/** A new element with text. */
export function make(tag, className, text = '') {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** Text in which each [SEG] is a small sign. Whatever the model writes is text and never markup. */
function fill(target, text) {
  target.replaceChildren();
  text.split('[SEG]').forEach((part, index) => {
    if (index) target.append(make('span', 'seg', '[SEG]'));
    target.append(part);
  });
}

function follow() {
  const talk = element('talk');
  talk.scrollTop = talk.scrollHeight;
}

// What appears below the conversation takes room from it.
new ResizeObserver(follow).observe(element('talk'));

/** One question and its answer, in the conversation. */
export class Turn {
  #text = '';

  constructor(question) {
    this.root = make('div', 'turn');
    this.answer = make('div', 'answer writing');
    this.root.append(make('div', 'question', question), this.answer);
    element('talk').append(this.root);
    follow();
  }

  write(text) {
    this.#text += text;
    fill(this.answer, this.#text);
    follow();
  }

  end({text = this.#text, notes = [], fault = ''} = {}) {
    fill(this.answer, text);
    this.answer.classList.remove('writing');
    notes.forEach((note) => this.root.append(make('div', 'note', note)));
    if (fault) this.root.append(make('div', 'fault', fault));
    follow();
  }
}

export function clearTalk() {
  element('talk').replaceChildren();
}

/** The list of objects; `select(index)` is called for the one that is pressed. */
export function showObjects(objects, selected, select) {
  element('no-objects').hidden = objects.length > 0;
  const list = element('objects');
  const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
  list.replaceChildren(...objects.map((object, index) => {
    const button = make('button');
    button.type = 'button';
    button.setAttribute('aria-pressed', String(index === selected));
    const sign = make('span', 'colour');
    sign.style.background = colour(index);
    const score = make('span', 'score', `${Math.round(100 * object.score)} %`);
    score.setAttribute('aria-label', `score ${Math.round(100 * object.score)} percent`);
    button.append(sign, make('span', 'name', `${index + 1} ${object.label}`), score, make('span', 'more', describe(object)));
    button.addEventListener('click', () => select(index === selected ? -1 : index));
    const item = make('li');
    item.append(button);
    return item;
  }));
  list.children[focused]?.firstChild.focus();
}

/** Box and area in pixels; the place and the size in metres where there is depth, or why they are not known. */
function describe({box, area, pose, size, not_located: missing}) {
  const flat = `x ${box.x}, y ${box.y}, ${box.width} × ${box.height}, ${area} px`;
  if (missing) return `${flat}; no place, ${missing.code}: ${missing.reason}`;
  if (!pose) return flat;
  const metres = (name, {[name]: length}) => length.toFixed(3);
  const place = ['x', 'y', 'z'].map((axis) => `${axis} ${metres(axis, pose.position)}`).join(', ');
  const sides = ['x', 'y', 'z'].map((axis) => metres(axis, size)).join(' × ');
  return `${flat}; ${place} m in ${pose.frame_id}, ${sides} m`;
}

// As a question meets them (src/engine/event.rs); JSON has them by name.
const STAGES = ['queue', 'load', 'preprocess', 'clip', 'prefill', 'generate', 'sam', 'decode', 'postprocess'];

/** How long each stage took. */
export function showTimes(seconds) {
  const stages = STAGES.filter((name) => seconds && name in seconds).map((name) => [name, seconds[name]]);
  element('no-times').hidden = stages.length > 0;
  element('total').textContent = seconds ? inWords(seconds.total) : '';
  const longest = Math.max(...stages.map(([, time]) => time));
  element('times').replaceChildren(...stages.map(([name, time]) => {
    const item = make('li');
    const track = make('span', 'track'), length = make('div', 'length');
    length.style.width = `${100 * time / longest}%`;
    track.append(length);
    item.append(make('span', '', name), track, make('span', 'value', inWords(time)));
    return item;
  }));
}

function inWords(seconds) {
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
}
