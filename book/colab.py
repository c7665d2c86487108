# On Colab only: get the repository that this notebook was opened from, beside Colab's own torch.
import os
import sys

if "google.colab" in sys.modules and not os.path.exists("../gffn_core"):
    import json
    import shutil
    import subprocess
    from pathlib import Path
    from urllib.parse import unquote
    from urllib.request import urlopen

    address, branch = os.environ.get("GFFN_REPOSITORY"), "HEAD"  # set it to use another fork
    if address is None:
        sessions = json.load(urlopen(f"http://{os.environ['COLAB_JUPYTER_IP']}:9000/api/sessions"))
        address, place = unquote(sessions[0]["path"]).split("fileId=")[1].split("/blob/")
        branch = place.rsplit("/", 2)[0]
    # The commit that is here whole. After a restart the folder exists: work done in it stays, but what git
    # left unfinished is not to be trusted.
    done = Path("/content/gffn/.git/installed")
    before = done.read_text() if done.exists() else shutil.rmtree(done.parent, ignore_errors=True)
    done.unlink(missing_ok=True)
    os.makedirs("/content/gffn", exist_ok=True)
    os.chdir("/content/gffn")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "fetch", "-q", "--depth", "1", address, branch], check=True)
    commit = subprocess.check_output(["git", "rev-parse", "FETCH_HEAD"], text=True).strip()
    if commit != before:
        subprocess.run(["git", "reset", "-q", "--hard", commit], check=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-e", "."], check=True)
    done.write_text(commit)
    sys.path.insert(0, "/content/gffn")
    os.chdir("notebooks")
