#!/usr/bin/env python3
"""The licences of everything that the programs are built from: checked against deny.toml, listed, and written down for packages.

    scripts/licences.py                  refuses what deny.toml does not allow; the exit status is 1 where there is any
    scripts/licences.py --list           one line a package: name, version, licence
    scripts/licences.py --notices FILE   the notices and texts of what the programs contain, for whoever hands them on
    scripts/licences.py --advisories     what is known against these versions, where a tool and its database can be had

It asks `cargo metadata` alone, so it costs seconds and nothing has to be installed. `cargo deny check licenses bans sources` reads
the same deny.toml and knows more, for it reads the licence texts as well; where it is installed, anybody can run it.
"""

import argparse
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Everything that is ever built, CUDA included.
FEATURES = 'ros,cuda'
TEXT_NAMES = re.compile(r'^(licen[cs]e|copying|copyright|notice|unlicense)', re.IGNORECASE)
# C libraries lie some folders below the package that builds them.
TEXT_DEPTH = 3
TOKENS = re.compile(r'\(|\)|[^\s()/]+|/')


def settings():
    try:
        import tomllib
    except ModuleNotFoundError:
        # Python 3.10 has none of its own.
        from pip._vendor import tomli as tomllib
    return tomllib.loads((ROOT / 'deny.toml').read_text())


def metadata():
    """What cargo knows of this workspace and its dependencies, on this platform."""
    version = subprocess.run(['rustc', '-vV'], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    words = ['cargo', 'metadata', '--format-version', '1', '--locked', '--features', FEATURES,
             '--filter-platform', re.search(r'^host: (.+)$', version, re.MULTILINE)[1]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f'licences: cargo metadata failed: {done.stderr.strip()}')
    return json.loads(done.stdout)


def is_allowed(expression, allowed):
    """Whether an SPDX expression can be met with the allowed licences. `/` is how Cargo once wrote OR.

    AND binds closer than OR, and `X WITH Y` is a licence of its own.
    """
    tokens = TOKENS.findall(expression)

    def peek():
        return tokens[0] if tokens else None

    def alternatives():
        met = every()
        while peek() in ('OR', '/'):
            tokens.pop(0)
            # Not `or` on the call: what follows has to be read all the same.
            other = every()
            met = met or other
        return met

    def every():
        met = one()
        while peek() == 'AND':
            tokens.pop(0)
            other = one()
            met = met and other
        return met

    def one():
        token = tokens.pop(0) if tokens else ''
        if token == '(':
            met = alternatives()
            if not tokens or tokens.pop(0) != ')':
                raise ValueError(f'"{expression}" has a parenthesis that is not closed')
            return met
        if token in ('', ')', 'AND', 'OR', 'WITH', '/'):
            raise ValueError(f'"{expression}" is no expression of SPDX')
        if peek() == 'WITH':
            tokens.pop(0)
            token += f' WITH {tokens.pop(0) if tokens else ""}'
        return token in allowed

    met = alternatives()
    if tokens:
        raise ValueError(f'"{expression}" is no expression of SPDX')
    return met


def faults(packages, rules):
    """What is against deny.toml, a line each."""
    allowed = set(rules['licenses']['allow'])
    registries = {p['source'] for p in packages if (p['source'] or '').startswith('registry+')}
    for package in packages:
        name = f'{package["name"]} {package["version"]}'
        expression, source = package['license'], package['source']
        if not expression:
            yield f'{name} names no licence'
        else:
            try:
                if not is_allowed(expression, allowed):
                    yield f'{name} is under {expression}; deny.toml allows: {", ".join(sorted(allowed))}'
            except ValueError as error:
                yield f'{name}: {error}'
        if source is None:
            if ROOT not in pathlib.Path(package['manifest_path']).parents:
                yield f'{name} is a path outside of the project: {package["manifest_path"]}'
            for wanted in package['dependencies']:
                if wanted['req'] == '*' and not wanted.get('path'):
                    yield f'{name} takes any version of {wanted["name"]}'
        elif not source.startswith('registry+') or len(registries) > 1:
            yield f'{name} comes from {source}; accepted: the one registry that Cargo.lock has'


def contained(known):
    """The packages whose code is in the programs: those that are reached without build and dev dependencies."""
    nodes = {node['id']: node for node in known['resolve']['nodes']}
    seen, todo = set(), [known['resolve']['root']]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += [d['pkg'] for d in nodes[node]['deps'] if any(kind['kind'] is None for kind in d['dep_kinds'])]
    return [p for p in known['packages'] if p['id'] in seen and p['source']]


def texts_of(package):
    """The licence texts in a package's folder, the notices of the C libraries in it included."""
    folder = pathlib.Path(package['manifest_path']).parent
    found = [f for depth in range(TEXT_DEPTH) for f in folder.glob('*/' * depth + '*') if f.is_file() and TEXT_NAMES.match(f.name)]
    if package['license_file']:
        found.append(folder / package['license_file'])
    # A source file may be named license.rs, too.
    return [f.read_text(errors='replace').strip() for f in sorted(set(found)) if f.suffix in ('', '.md', '.txt') or 'LICEN' in f.name]


def notices(packages):
    """All packages, then every text once, with the packages it is of."""
    packages = sorted(packages, key=lambda p: (p['name'], p['version']))
    names = {p['id']: f'{p["name"]} {p["version"]}' for p in packages}
    texts, without = {}, []
    for package in packages:
        found = texts_of(package)
        if not found:
            without.append(package)
        for text in found:
            key = hashlib.sha256(' '.join(text.split()).encode()).hexdigest()
            texts.setdefault(key, (text, []))[1].append(names[package['id']])
    lines = ['Notices of the software that lisa, lisa_node and lisa_bag contain', '',
             'lisa_ros itself and the model lisa-mini are under the Apache License 2.0. The programs contain the packages of this list, each',
             'under its own licence; their texts follow it. Where a licence leaves a choice, as that of zstd does, the permissive one is taken. This',
             'software is based in part on the work of the Independent JPEG Group.', '']
    lines += [f'{names[p["id"]]}: {p["license"]}{"; " + p["repository"] if p["repository"] else ""}' for p in packages]
    if without:
        lines += ['', 'These come without a text of their licence; the authors are those that the package names:']
        lines += [f'{names[p["id"]]}: {p["license"]}; {", ".join(p["authors"]) or "no author is named"}' for p in without]
    for text, of in texts.values():
        lines += ['', '=' * 80, *textwrap.wrap(', '.join(dict.fromkeys(of)), 80), '=' * 80, '', text]
    return '\n'.join(lines) + '\n'


# What cargo-deny and cargo-audit say when they cannot get the database of advisories.
UNREACHABLE = re.compile(r"fail(ed|ure) to (fetch|clone|connect)|couldn't fetch|error sending request|could not resolve|unable to (fetch|connect)",
                         re.IGNORECASE)


class NotChecked(Exception):
    """Advisories could not be looked up, and why."""


def advisories():
    """The report of cargo-deny or cargo-audit if it has anything to say, or nothing."""
    for tool, words in (('cargo-deny', ['cargo', 'deny', 'check', 'advisories']), ('cargo-audit', ['cargo', 'audit'])):
        if shutil.which(tool):
            break
    else:
        raise NotChecked('neither cargo-deny nor cargo-audit is installed: cargo install cargo-audit --locked')
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        raise NotChecked('the database of advisories does not answer') from None
    said = done.stdout + done.stderr
    if done.returncode != 0 and UNREACHABLE.search(said):
        raise NotChecked('the database of advisories cannot be reached')
    return said if done.returncode != 0 else ''


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--list', action='store_true', help='print name, version and licence of every package')
    parser.add_argument('--notices', metavar='FILE', type=pathlib.Path, help='write the notices of what the programs contain')
    parser.add_argument('--advisories', action='store_true', help='print what is known against these versions')
    options = parser.parse_args()
    if options.advisories:
        try:
            found = advisories()
        except NotChecked as reason:
            print(f'licences: advisories are not checked: {reason}', file=sys.stderr)
            return 0
        print(found, end='')
        return 1 if found else 0
    known = metadata()
    packages = sorted(known['packages'], key=lambda p: (p['name'], p['version']))
    if options.list:
        print('\n'.join(f'{p["name"]} {p["version"]}: {p["license"]}' for p in packages))
    if options.notices:
        options.notices.write_text(notices(contained(known)))
        return 0
    found = list(faults(packages, settings()))
    for fault in found:
        print(f'licences: {fault}', file=sys.stderr)
    if not found:
        print(f'licences: {len(packages)} packages, all as deny.toml has it', file=sys.stderr)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
