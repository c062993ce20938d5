"""The demo's conversation: asks the node four questions, prints the answers as they are written and where the time went, and
writes into a folder a picture for each question, answers.json, and overlay.png, which is the picture of the first right answer.
Then it has examples/pick.py take hold of two of the things, one of which is not there.

Ends with 0 where everything came and at most one answer is wrong, else with 1; `demo_answers` says what right is.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import sys

import demo_pick
import numpy as np
from demo_answers import LEAST_IOU, QUESTIONS, Reply, faults, judge, table, true_mask
from demo_pictures import read_png, write_png


def visible(text: str) -> str:
    """A random model writes control characters, too; a terminal should not get them."""
    return ''.join(c if c.isprintable() else '\N{REPLACEMENT CHARACTER}' for c in text)


def say(text: str) -> None:
    print(visible(text), end='', flush=True)


def clear(folder: pathlib.Path) -> None:
    """Takes away what an earlier conversation has written, so that nothing of it can be taken for this one's."""
    for old in (*folder.glob('[0-9]*-*.png'), *folder.glob('*.part'), folder / 'overlay.png', folder / 'answers.json'):
        old.unlink(missing_ok=True)


def interview(ask, scene: dict, instances: np.ndarray, folder: pathlib.Path) -> tuple[list[dict], list[list]]:
    """Asks all questions; returns their entries for answers.json, and the times of each: (stage, seconds).

    `ask` takes a name and a text, and returns a Reply without a picture, the picture as (height, width, 3) uint8 or None, and
    the times. Where no result came nothing else is asked: the node would have to answer the question before.
    """
    entries, times = [], []
    silent = False
    for number, question in enumerate(QUESTIONS, 1):
        reply, overlay, stages = Reply(error='not asked, because the question before has no result'), None, []
        truth = true_mask(question, scene, instances)
        if not silent:
            print(f'\n  you   {question.text}\n  lisa  ', end='', flush=True)
            reply, overlay, stages = ask(f'demo {number}', question.text)
            silent = reply.status is None
        if overlay is not None:
            if overlay.shape[:2] != truth.shape:
                raise ValueError(f'the overlay of "{question.text}" is {overlay.shape[1]}x{overlay.shape[0]}, '
                                 f'the scene {truth.shape[1]}x{truth.shape[0]}')
            name = f'{number}-{question.slug()}.png'
            write_png(folder / name, overlay)
            reply = dataclasses.replace(reply, picture=name)
        entries.append(judge(question, reply, truth))
        times.append(stages)
        objects = ', '.join(
            f'{visible(o.label)!r} {o.box[2]}x{o.box[3]} at {o.box[0]},{o.box[1]} score {o.score:.2f}' for o in reply.objects)
        print('\n        ' + ': '.join(part for part in (reply.status or 'no result', objects, visible(reply.error)) if part))
    return entries, times


def pick_all(run, entries: list[dict], truths: list) -> None:
    """Has pick.py ask for the things of the questions that say so, and puts what came of it into their entries.

    `run` takes a text and returns pick.py's exit code, its last line, and the position and the frame of the pose that it published;
    `truths` has for each question where the thing is in base_link, None where it is not there.
    """
    for question, entry, truth in zip(QUESTIONS, entries, truths):
        if not question.pick:
            continue
        print(f'\n  pick  {question.text}')
        entry['pick'] = demo_pick.judge(question.text, *run(question.text), truth)
        print(f'        {visible(entry["pick"]["said"])}\n        {demo_pick.told(entry["pick"])}')


def finish(entries: list[dict], folder: pathlib.Path) -> int:
    """Writes overlay.png and answers.json, prints the table, and returns the exit code."""
    shown = next((entry for entry in entries if entry['right'] and entry['picture']), None)
    if shown:
        part = folder / 'overlay.png.part'
        shutil.copyfile(folder / shown['picture'], part)
        os.replace(part, folder / 'overlay.png')
    part = folder / 'answers.json.part'
    part.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')
    os.replace(part, folder / 'answers.json')
    print(f'\n{table(entries)}\n')
    right = sum(entry['right'] is True for entry in entries)
    print(f'demo: {right} of {len(entries)} answers are right: what is there is found with a mask IoU of {LEAST_IOU} or more, what is '
          'not there is refused')
    picks = [entry['pick'] for entry in entries if entry.get('pick')]
    if picks:
        print(f'demo: {sum(pick["right"] is True for pick in picks)} of {len(picks)} picks are right: what is there is taken hold of within '
              f'{demo_pick.MOST_MM:.0f} mm, what is not there is refused')
    pictures = sum(entry['picture'] is not None for entry in entries)
    print(f'demo: answers.json and {pictures} pictures are in {folder}/'
          + (f'; overlay.png is {shown["picture"]}' if shown else ''))
    found = faults(entries)
    for fault in found:
        print(f'demo: {fault}', file=sys.stderr)
    return 1 if found else 0


def print_times(times: list[list]) -> None:
    """Milliseconds, stage by stage, of each question."""
    stages = []
    for question in times:
        stages += [stage for stage, _ in question if stage not in stages]
    last = ('total', 'per token')
    stages = [stage for stage in stages if stage not in last] + [stage for stage in last if stage in stages]
    heads = ''.join(f'{f"question {i + 1}":>12}' for i in range(len(times)))
    print(f'\n  milliseconds, - where a stage was not needed\n  {"stage":<16}{heads}')
    for stage in stages:
        cells = [next((f'{seconds * 1e3:.1f}' for name, seconds in question if name == stage), '-') for question in times]
        print(f'  {stage:<16}' + ''.join(f'{cell:>12}' for cell in cells))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--node-pid', type=int, required=True)
    parser.add_argument('--truth', type=pathlib.Path, required=True, help="the scene's JSON, as `lisa world --format frames` writes it")
    parser.add_argument('--out', type=pathlib.Path, required=True, help='the folder for pictures and answers.json')
    arguments = parser.parse_args()
    clear(arguments.out)
    scene = json.loads(arguments.truth.read_text(encoding='utf-8'))
    instances, depth = (read_png(arguments.truth.with_name(scene['files'][name])) for name in ('instances', 'depth'))

    # Only here, so that the rest can be tested without ROS 2.
    import demo_person as ros
    import rclpy
    # A signal ends this program at once, as any other: there is nothing to save.
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    person = ros.Person(arguments.node_pid, say)

    def ask(name: str, text: str) -> tuple[Reply, np.ndarray | None, list]:
        try:
            result, overlay = person.ask(name, text)
        except ros.NodeEnded:
            return Reply(error='the node has ended'), None, []
        if result is None:
            return Reply(error=f'the node has not answered for {ros.FOR_A_RESULT:.0f} s'), None, []
        reply = Reply(ros.STATUS[result.status], result.answer, result.error, ros.objects_of(result))
        return reply, None if overlay is None else ros.rgb8(overlay), ros.times_of(result)

    def where(question) -> np.ndarray | None:
        middle = demo_pick.surface_centroid(scene['camera'], depth, true_mask(question, scene, instances))
        return None if middle is None else demo_pick.in_base(middle)

    try:
        why_not = person.greet()
    except ros.NodeEnded:
        why_not = 'the node has ended'
    if why_not:
        entries = [judge(question, Reply(error=why_not), true_mask(question, scene, instances)) for question in QUESTIONS]
    else:
        entries, times = interview(ask, scene, instances, arguments.out)
        print_times(times)
        if all(entry['status'] is not None for entry in entries):
            pick_all(lambda text: demo_pick.run(text, person), entries, [where(question) for question in QUESTIONS])
    return finish(entries, arguments.out)


if __name__ == '__main__':
    sys.exit(main())
