# The executables of the release, so that an installation needs neither a compiler nor Python.
class Dunena < Formula
  desc "Realtime JSON store that you start with one command"
  homepage "https://github.com/$repository"
  version "$version"
  license "MIT"

  on_macos do
    on_arm do
      url "$download/dunena-macos-arm64.zip"
      sha256 "$macos_arm64_archive"
    end
    on_intel do
      url "$download/dunena-macos-x64.zip"
      sha256 "$macos_x64_archive"
    end
  end

  on_linux do
    on_arm do
      url "$download/dunena-linux-arm64.tar.gz"
      sha256 "$linux_arm64_archive"
    end
    on_intel do
      url "$download/dunena-linux-x64.tar.gz"
      sha256 "$linux_x64_archive"
    end
  end

  def install
    libexec.install Dir["dunena*"].first => "dunena"
    # Beside the program is a folder of this version alone, which goes with the next upgrade.
    (bin/"dunena").write_env_script libexec/"dunena", CACHE_DIR: "$${CACHE_DIR:-#{var}/dunena}"
  end

  def post_install
    (var/"dunena").mkpath
  end

  def caveats
    <<~EOS
      Values are kept in #{var}/dunena, over upgrades too, unless CACHE_DIR or --cache-dir says
      otherwise.
    EOS
  end

  service do
    run [opt_bin/"dunena", "serve", "--cache-dir", var/"dunena"]
    keep_alive true
    log_path var/"log/dunena.log"
    error_log_path var/"log/dunena.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/dunena version")
  end
end
