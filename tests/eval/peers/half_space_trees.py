"""Half-space trees by river: a score per row of a table, each row scored before it is learnt. usage: half_space_trees.py TABLE

TABLE is CSV with a header, rows in the order of time. Trees as published (25, windows of 250 rows), height 8 as river has it.
Features are brought to 0..1 by their least and greatest value so far, which is what the trees expect."""

import csv
import sys

from river.anomaly import HalfSpaceTrees
from river.preprocessing import MinMaxScaler

trees = HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=1)
scaler = MinMaxScaler()
with open(sys.argv[1], newline="") as table:
    for row in csv.DictReader(table):
        values = {name: float(value) for name, value in row.items()}
        scaler.learn_one(values)
        values = scaler.transform_one(values)
        print(trees.score_one(values))
        trees.learn_one(values)
