// The last questions, with thumbnails. They stay in this tab: a reload keeps them, closing it does not.

import {make} from '/panel.js';

const KEY = 'lisa-history';
const MOST = 12;

export class History {
  #show;
  entries = [];
  current = null;

  /** `show(entry)` is called for the one that is pressed. */
  constructor(show) {
    this.#show = show;
    try {
      this.entries = JSON.parse(sessionStorage.getItem(KEY)) ?? [];
    } catch {
      // What cannot be read is an entry of another version of the page.
    }
    document.getElementById('clear').addEventListener('click', () => {
      this.entries = [];
      this.#changed();
    });
    this.#changed();
  }

  /** An entry has `answer`, as the server gave it, and `thumbnail`, a data URL. */
  add(entry) {
    this.entries.unshift(entry);
    this.entries.length = Math.min(this.entries.length, MOST);
    this.current = entry;
    this.#changed();
  }

  #changed() {
    this.#save();
    document.getElementById('no-history').hidden = this.entries.length > 0;
    document.getElementById('clear').hidden = this.entries.length === 0;
    document.getElementById('history').replaceChildren(...this.entries.map((entry) => {
      const button = make('button');
      button.type = 'button';
      const {instruction, answer} = entry.answer;
      button.setAttribute('aria-label', `${instruction}: ${answer}`);
      button.setAttribute('aria-current', String(entry === this.current));
      button.title = instruction;
      const image = make('img');
      image.src = entry.thumbnail;
      image.alt = '';
      button.append(image, make('span', '', instruction));
      button.addEventListener('click', () => {
        this.current = entry;
        this.#changed();
        this.#show(entry);
      });
      const item = make('li');
      item.append(button);
      return item;
    }));
  }

  #save() {
    // A browser keeps some megabytes; the oldest leave first.
    for (let count = this.entries.length; count >= 0; count--) {
      try {
        sessionStorage.setItem(KEY, JSON.stringify(this.entries.slice(0, count)));
        return;
      } catch {
        continue;
      }
    }
  }
}
