"""What the relays need around them: Debian's packages, unpacked into a cache, and certificates made on the spot."""

import glob
import os
import shutil
import tempfile

from servers import Failure, run

PACKAGES = [["postfix", "sasl2-bin", "libsasl2-modules", "libsasl2-modules-db", "libnss-wrapper"], ["exim4-daemon-light"]]
NEEDED = ["usr/lib/postfix/sbin/master", "usr/sbin/saslpasswd2", "usr/sbin/exim4", "usr/lib/*/libnss_wrapper.so*", "usr/lib/*/sasl2/libsasldb.so"]


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "embargod-ci", "relays")


def is_complete(root):
    return all(glob.glob(os.path.join(root, path)) for path in NEEDED)


def fetch(root):
    """Unpacks Postfix, Exim and the libraries that this machine lacks. Nothing is installed, no service starts."""
    os.makedirs(os.path.dirname(root), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(root)) as scratch:
        archives, fresh = os.path.join(scratch, "archives"), os.path.join(scratch, "root")
        os.makedirs(os.path.join(archives, "partial"))
        os.makedirs(fresh)
        # The two exclude each other; and an account for downloads could not write here.
        for packages in PACKAGES:
            run("apt-get", "install", "--yes", "--quiet", "--download-only", "--reinstall", "--no-install-recommends",
                "-o", "Dir::Cache::archives=" + archives, "-o", "APT::Sandbox::User=root", *packages)
        for package in glob.glob(archives + "/*.deb"):
            run("dpkg-deb", "--extract", package, fresh)
        shutil.rmtree(os.path.join(fresh, "usr/share"))
        # Here it never needs rights that its caller does not have, and a program with them takes no LD_PRELOAD.
        os.chmod(os.path.join(fresh, "usr/sbin/exim4"), 0o755)
        if not is_complete(fresh):
            raise Failure("the packages do not hold what is needed: " + ", ".join(NEEDED))
        os.chmod(fresh, 0o755)
        shutil.rmtree(root, ignore_errors=True)
        os.rename(fresh, root)


class Certificates:
    """An authority of its own, and a certificate for each name that is asked for."""

    def __init__(self, directory):
        self.directory, self.authority = directory, os.path.join(directory, "ca.pem")
        os.makedirs(directory)
        os.chmod(directory, 0o755)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=authority", "-keyout", directory + "/ca.key", "-out", self.authority)

    def chain(self, name):
        """A file with the key and the certificate of `name`."""
        path = os.path.join(self.directory, name + ".pem")
        if not os.path.exists(path):
            key, request, extension = path + ".key", path + ".csr", path + ".ext"
            run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=" + name, "-keyout", key, "-out", request)
            with open(extension, "w", encoding="ascii") as file:
                file.write("subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n" % name)
            signed = run("openssl", "x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.directory + "/ca.key",
                         "-set_serial", str(int.from_bytes(os.urandom(8), "big")), "-days", "1", "-extfile", extension)
            with open(key, "rb") as file:
                text = file.read() + signed.stdout
            with open(path, "wb") as file:
                file.write(text)
            # Exim reads it with the rights of its account; it is worth nothing beyond this run.
            os.chmod(path, 0o644)
        return path
