#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""bench.py - the engine beside dockerd and podman, where they are installed: medians and ratios of one run.

    bench.py [--only REGEX] [--engines sdc,dockerd,podman] [--rounds N] [--warm MIB] [--json FILE] [--list]

The engines take turns, round by round, so that what disturbs the machine disturbs all. A cell is the median of the
rounds (lowest-highest). A ratio above 1 means that we are better: more per second, or less time, CPU or memory.
CPU time is told beside, where it says more than the clock of a machine that others use. Before anything is measured, memory is
touched that the machine, if it is a virtual one, has perhaps given back to its host (warm.c).
Behind the table stands what is promised of us (`least`, `most`, `times` of a measure), and whether this run keeps it.

Where the measures are: measures_engine.py, measures_logs.py, measures_images.py.
"""
import argparse, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, traceback

import engines
import measures_engine
import measures_images
import measures_logs

HERE = os.path.dirname(os.path.abspath(__file__))
MEASURES = measures_engine.MEASURES + measures_logs.MEASURES + measures_images.MEASURES


def text_of(v):
    return 'n/a' if v is None else '%.3g' % v if abs(v) < 1000 else '%d' % v


class Row:
    """One line of the table: name, unit, whether more is better, and the samples of each engine."""

    def __init__(self, name, unit, higher):
        self.name, self.unit, self.higher, self.samples = name, unit, higher, {}

    def add(self, engine, value):
        self.samples.setdefault(engine, []).append(value)

    def median(self, engine):
        v = self.samples.get(engine)
        return statistics.median(v) if v else None

    def ratio(self, other):
        a, b = self.median('sdc'), self.median(other)
        if not a or not b:
            return None
        return a / b if self.higher else b / a

    def cell(self, engine):
        v = self.samples.get(engine)
        if not v:
            return 'n/a'
        if len(v) == 1:
            return text_of(v[0])
        return '%s (%s-%s)' % (text_of(statistics.median(v)), text_of(min(v)), text_of(max(v)))

    def line(self, names):
        ratios = ['' if r is None else '%.2fx' % r for r in (self.ratio(n) for n in names[1:])]
        return '%-50s %-9s' % (self.name, self.unit) + ''.join('%28s' % self.cell(n) for n in names) + ''.join('%12s' % r for r in ratios)


def prepare(base):
    """Programs and images of the measures, below base."""
    t = base + '/tools'
    os.makedirs(t + '/root')
    subprocess.run(['gcc', '-O2', '-static', '-o', t + '/root/loggen', HERE + '/loggen.c'], check=True)
    subprocess.run(['gcc', '-D_GNU_SOURCE', '-O2', '-o', t + '/httpload', HERE + '/httpload.c'], check=True)
    subprocess.run(['gcc', '-D_GNU_SOURCE', '-O2', '-o', t + '/warm', HERE + '/warm.c'], check=True)
    subprocess.run(['gcc', '-O3', '-o', t + '/logsink', HERE + '/logsink.c'], check=True)
    subprocess.run(['tar', '-C', t + '/root', '-cf', t + '/image.tar', '.'], check=True)
    for m in (measures_engine, measures_logs, measures_images):
        m.TOOLS = t


def warm(base, mib):
    """The program that keeps that much free memory at hand; None: none is wanted."""
    if mib is None:
        mib = min(6144, int(re.search(r'MemAvailable: *(\d+)', open('/proc/meminfo').read()).group(1)) // 3072)
    if not mib:
        return None
    p = subprocess.Popen([base + '/tools/warm', str(mib)], stdout=subprocess.PIPE)
    p.stdout.readline()
    return p


def start(names, base):
    out = []
    for n in names:
        if n != 'sdc' and not shutil.which(n):
            print('%s is not installed: left out' % n)
            continue
        e = engines.Engine(n, base)
        try:
            e.start()
            e.image(base + '/tools/image.tar')
            out.append(e)
        except Exception as x:
            print('%s: %s' % (n, x))
            e.stop()
    return out


def measure(m, es, rounds):
    """All rows of one measure."""
    rows, failed = {}, set()
    for k in range(rounds or m.get('rounds', 3)):
        for e in es:
            if e in failed or e.name not in m.get('engines', e.name):
                continue
            try:
                got = m['fn'](e)
            except Exception as x:
                failed.add(e)
                e.conn = None
                print('  %s, %s: %r' % (m['name'], e.name, x))
                if os.environ.get('V'):
                    traceback.print_exc()
                continue
            if not isinstance(got, list):
                got = [(m['name'], m['unit'], got, m['higher'])]
            for name, unit, value, higher in got:
                rows.setdefault(name, Row(name, unit, higher)).add(e.name, value)
    return list(rows.values())


def verdicts(m, rows):
    """What is promised of us, as lines."""
    for name, want in m.get('promise', {}).items():
        row = next((r for r in rows if r.name == name), None)
        v = row.median('sdc') if row else None
        checks = []
        if 'least' in want:
            checks.append(('>= %s' % text_of(want['least']), v is not None and v >= want['least']))
        if 'most' in want:
            checks.append(('<= %s' % text_of(want['most']), v is not None and v <= want['most']))
        r = row.ratio('dockerd') if row else None
        if 'times' in want and r is not None:
            checks.append(('%gx dockerd (%.2fx)' % (want['times'], r), r >= want['times']))
        for text, ok in checks:
            yield '%-8s %-50s %s %s, wanted %s' % ('kept' if ok else 'MISSED', name, text_of(v), row.unit if row else '', text)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--only', default='', help='regular expression on the measures\' names')
    ap.add_argument('--engines', default='sdc,dockerd,podman')
    ap.add_argument('--rounds', type=int, default=0, help='instead of each measure\'s own number')
    ap.add_argument('--warm', type=int, help='MiB of free memory to have at hand; 0: as it comes')
    ap.add_argument('--json', help='write the samples there')
    ap.add_argument('--list', action='store_true', help='name the measures and end')
    a = ap.parse_args()
    todo = [m for m in MEASURES if re.search(a.only, m['name'])]
    if a.list:
        print('\n'.join(m['name'] for m in todo))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    base = tempfile.mkdtemp(prefix='sdcb')
    es, all_rows, promised, keeper = [], [], [], None
    try:
        prepare(base)
        keeper = warm(base, a.warm)
        es = start(a.engines.split(','), base)
        names = [e.name for e in es]
        print('%-50s %-9s' % ('', '') + ''.join('%28s' % n for n in names) + ''.join('%12s' % ('vs ' + n) for n in names[1:]), flush=True)
        for m in todo:
            rows = measure(m, es, a.rounds)
            for r in rows:
                print(r.line(names), flush=True)
            all_rows += rows
            promised += verdicts(m, rows)
        if promised:
            print('\nPromises:\n' + '\n'.join(promised))
        if a.json:
            json.dump([dict(name=r.name, unit=r.unit, higher=r.higher, samples=r.samples) for r in all_rows], open(a.json, 'w'), indent=1)
    finally:
        for m in (measures_logs, measures_images):
            m.clean_up()
        for e in es:
            e.stop()
        if keeper:
            keeper.kill()
            keeper.wait()
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(any(p.startswith('MISSED') for p in promised))


if __name__ == '__main__':
    main()
