/* python.exe: loads the DLL beside it and hands over. */
#include <wchar.h>
#include <windows.h>

typedef int (*run_main)(int, wchar_t **);

int wmain(int count, wchar_t **words)
{
    HMODULE python = LoadLibraryW(L"python313.dll");
    run_main run = python ? (run_main)(void *)GetProcAddress(python, "Py_Main") : NULL;
    if (!run) {
        fwprintf(stderr, L"python313.dll cannot be loaded: error %lu\n", GetLastError());
        return 101;
    }
    return run(count, words);
}
