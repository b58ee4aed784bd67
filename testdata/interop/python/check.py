"""Holds the second verifier against the corpus in testdata/evidence, and against
every convicting file with one bit changed: python3 check.py CORPUS"""

import json
import sys

import evidence

FLIPS = 30  # of each file


def main(path):
    with open(path, encoding="utf-8") as f:
        corpus = json.load(f)
    wrong = convict = flips = 0
    for entry in corpus:
        data, why = entry["file"].encode(), evidence.refusal(entry["file"].encode(), entry["vkey"])
        if (why is None) != entry["convicts"]:
            wrong += 1
            print(f"{entry['name']}: convicts is {entry['convicts']}, and here: {why or 'it convicts'}")
        if not entry["convicts"]:
            continue
        convict += 1
        for i in range(FLIPS):
            bit = (2 * i + 1) * len(data) * 8 // (2 * FLIPS)
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            flips += 1
            if evidence.refusal(bytes(flipped), entry["vkey"]) is None:
                wrong += 1
                print(f"{entry['name']}: it convicts with bit {bit} changed")
    print(f"{len(corpus)} files, {convict} convict, {flips} with a bit changed: {wrong} wrong")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1]) else 0)
