# The recorded cases whose files are small, as a set of vectors of its own: python3 tests/tiny_vectors.py VECTORS OUT MOST-BYTES
import hashlib, json, os, shutil, sys

source, out, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
shutil.rmtree(out, ignore_errors=True)
manifest = json.load(open(os.path.join(source, "manifest.json")))
manifest["cases"] = [c for c in manifest["cases"] if os.path.getsize(os.path.join(source, c["file"])) <= most]
manifest["count"] = len(manifest["cases"])
for c in manifest["cases"]:
    os.makedirs(os.path.dirname(os.path.join(out, c["file"])), exist_ok=True)
    shutil.copy(os.path.join(source, c["file"]), os.path.join(out, c["file"]))
json.dump(manifest, open(os.path.join(out, "manifest.json"), "w"))
with open(os.path.join(out, "SHA256SUMS"), "w") as sums:
    for name in ("manifest.json", "index.tsv", "calls.tsv", "notes.json"):
        if name != "manifest.json":
            shutil.copy(os.path.join(source, name), os.path.join(out, name))
        sums.write("%s  %s\n" % (hashlib.sha256(open(os.path.join(out, name), "rb").read()).hexdigest(), name))
