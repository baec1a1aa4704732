"""How much a detector keeps and gains over deliveries: Treering beside joint training and what else people do.

    python -m bench.retention --data DIR --weights FILE --scenario voc --method joint,default --seeds 2 --out F.json

`source` reads any folder in YOLO layout, `scenarios` makes a course of deliveries and hold-outs of it, `methods` is
the table of who learns it and how, `bare` and `lines` do it in processes of their own, `book` keeps every row in the
file, `summary`, `table` and `plots` say what came out. `LOG.md` tells what was tried, and what became of it.
"""
