"""Mines a block on regtest through `bitcoin-ipc -o jsonl connect`: python3 mining_round.py ADDRESS"""
import hashlib, json, subprocess, sys

IPC = subprocess.Popen(["bitcoin-ipc", "-a", sys.argv[1], "-o", "jsonl", "connect"],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

def ask(line):
    """Returns the answer to a line: {"line", "result"} or {"line", "error"}. Others have no "line"."""
    print(line, file=IPC.stdin, flush=True)
    while "line" not in (answer := json.loads(IPC.stdout.readline())):
        pass
    return answer

def call(line):
    answer = ask(line)
    if "error" in answer:
        sys.exit(f"{line}: {answer['error']['message']}")
    return answer["result"]

def dsha256(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()

tip = call("getTip")
assert ask("getTipp")["error"]["kind"] == "usage"  # nothing was sent
assert ask("checkBlock block=00")["error"]["kind"] == "remote"  # the node's own answer
call("template = createNewBlock cooldown=false")
coinbase = bytes.fromhex(call("template.getBlock"))[81:]  # the only transaction
txid = dsha256(coinbase[:4] + coinbase[6:-38] + coinbase[-4:])  # without its witness
header = bytearray.fromhex(call("template.getBlockHeader"))
header[36:68] = txid  # the merkle root of a block with one transaction
while dsha256(header)[31] > 0x7E:  # regtest's target
    header[76:80] = (int.from_bytes(header[76:80], "little") + 1).to_bytes(4, "little")
version, time, nonce = (int.from_bytes(header[at:at + 4], "little") for at in (0, 68, 76))
solved = call(f"template.submitSolution {version} {time} {nonce} {coinbase.hex()}")
assert solved["result"] is True, solved
new = call(f"waitTipChanged {tip['hash']} timeout=20s")
assert new == {"hash": dsha256(header)[::-1].hex(), "height": tip["height"] + 1}, new
call(".release template")
IPC.stdin.close()
print(new["height"], IPC.wait())
