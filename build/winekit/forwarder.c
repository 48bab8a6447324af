/* python3.dll, the stable interface: nothing but names, which its .def file passes on. */
#include <windows.h>

BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, LPVOID reserved)
{
    return TRUE;
}
